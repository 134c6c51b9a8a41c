"""A disk that takes its time holds up who waits for it, and nobody else; what piles up meanwhile is bounded."""

from __future__ import annotations

import threading
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from agentflow.engine import Engine
from agentflow.steps import api_call, checkpoint, for_each
from agentflow.testing import FakeClock, SlowDisk, slow_disk
from tests.engine.hands import Gate
from tests.engine.lab import LIMIT, Lab
from tests.steps.http_server import Answer, Request, serve

pytestmark = pytest.mark.anyio

SKILLS = {"native:network": {"private": True}, "native:python": {}}
HOPS = 3


@pytest.fixture
def lab() -> Lab:
    return Lab(FakeClock(), always_replay=False)


async def entered(disk: SlowDisk) -> None:
    """Return when a commit waits for the disk."""
    assert await anyio.to_thread.run_sync(disk.entered.wait, LIMIT)


async def learn(lab: Lab, engine: Engine) -> None:
    """Let the store find out how slow its disk is: commits wait in a thread from then on."""
    await lab.finish(engine, await engine.start("chain"))


async def test_requests_of_other_runs_go_on_while_a_commit_waits_for_the_disk(lab: Lab, tmp_path: Path) -> None:
    asked, go, arrived = anyio.Event(), anyio.Event(), anyio.Event()

    async def answer(request: Request) -> Answer:
        hop = int(request.target.rpartition("/")[2])
        if hop == 0:
            asked.set()
            await go.wait()
        if hop == HOPS:
            arrived.set()
            return Answer(body={"arrived": True})
        return Answer(302, headers={"Location": f"/{hop + 1}"})

    chain = lab.workflow(*(checkpoint(f"s{n}", message="on") for n in range(6)), id="chain")
    with slow_disk(0.02) as disk:
        async with serve(answer) as server:
            calls = lab.workflow(api_call("get", url=f"{server.url}/0", redirects=HOPS))
            async with lab.open(calls, chain, store=tmp_path / "runs.db", config={"skills": SKILLS}) as engine:
                await learn(lab, engine)
                on_loop = disk.on_loop
                with anyio.fail_after(LIMIT):
                    run = await engine.start("main")
                    await asked.wait()
                    disk.hold()
                    async with anyio.create_task_group() as group:
                        group.start_soon(engine.start, "chain")
                        await entered(disk)
                        syncs = disk.syncs
                        go.set()
                        await arrived.wait()
                        assert disk.syncs == syncs  # it still waits
                        assert (await engine.get(run.id)).state == "working"
                        disk.let_go()
                done = await lab.finish(engine, run)
                assert (done.state, done.output["body"]) == ("completed", {"arrived": True})
                assert disk.on_loop == on_loop


async def test_many_starts_at_once_wait_for_the_disk_and_the_loop_does_not(lab: Lab, tmp_path: Path) -> None:
    chain = lab.workflow(*(checkpoint(f"s{n}", message="on") for n in range(6)), id="chain")
    with slow_disk(0.02) as disk:
        async with lab.open(chain, store=tmp_path / "runs.db") as engine:
            await learn(lab, engine)
            on_loop = disk.on_loop
            with anyio.fail_after(LIMIT):
                async with anyio.create_task_group() as group:
                    for _ in range(300):
                        group.start_soon(engine.start, "chain")
            assert disk.on_loop == on_loop


async def test_what_piles_up_behind_a_slow_disk_is_bounded_by_the_slots(lab: Lab, tmp_path: Path) -> None:
    """While a commit waits, nothing new starts: at most what runs can end, and whoever starts a run waits for it."""
    slots, items = 10, 60
    gate, begun, started = Gate(), 0, 0

    async def work() -> int:
        nonlocal begun
        begun += 1
        await gate()
        return begun

    main = lab.workflow(for_each("each", in_=list(range(items)), steps=[lab.call("w", work)]))
    chain = lab.workflow(*(checkpoint(f"s{n}", message="on") for n in range(6)), id="chain")
    config = {"limits": {"host_parallel": slots}}
    with slow_disk(0.005) as disk:
        async with lab.open(main, chain, store=tmp_path / "runs.db", config=config) as engine:

            async def start() -> None:
                nonlocal started
                await engine.start("chain")
                started += 1

            await learn(lab, engine)
            with anyio.fail_after(LIMIT):
                run = await engine.start("main")
                while begun < slots:
                    await anyio.lowlevel.checkpoint()
                disk.hold()
                async with anyio.create_task_group() as group:
                    for _ in range(3):
                        group.start_soon(start)
                    await entered(disk)
                    gate.open()
                    await anyio.wait_all_tasks_blocked()
                    assert (begun, started) == (slots, 0)
                    disk.let_go()
            done = await lab.finish(engine, run)
            assert (done.state, begun, started, len(done.output)) == ("completed", items, 3, items)


def test_a_held_sync_waits_and_one_of_the_loops_own_thread_does_not() -> None:
    disk, through = SlowDisk(0), threading.Event()

    def sync() -> None:
        disk()
        through.set()

    disk.hold()
    disk()
    thread = threading.Thread(target=sync)
    thread.start()
    assert disk.entered.wait(LIMIT)
    assert not through.is_set()
    disk.let_go()
    thread.join(LIMIT)
    assert (through.is_set(), disk.syncs, disk.on_loop) == (True, 2, 1)
