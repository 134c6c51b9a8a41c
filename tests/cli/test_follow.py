"""Following a run that another process executes."""

from __future__ import annotations

import resource
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow import Engine, Workflow
from agentflow.cli import follow
from agentflow.cli.desk import Project
from agentflow.cli.follow import Follower, Manner
from agentflow.cli.options import Common
from agentflow.cli.refusals import refusal
from agentflow.cli.session import Session
from agentflow.errors import StoreError
from agentflow.steps import ForEachField, python, set_, wait_for_input
from agentflow.store.rows import Event

pytestmark = pytest.mark.anyio


async def test_a_run_that_is_seen_ended_before_its_last_events_came_is_told_to_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(follow, "IDLE", 0.3)
    workflow = Workflow(id="flow", steps=(set_("first", value=1), set_("last", value=2)))
    async with Engine.open(":memory:", workflows=[workflow]) as engine:
        run = await engine.wait((await engine.start("flow", {})).id)
        looked, get, subscribe = anyio.Event(), engine.get, engine.subscribe

        async def seen(run_id: str) -> Any:
            found = await get(run_id)
            looked.set()
            return found

        async def late(run_id: str, after: int = 0, *, tree: bool = False) -> AsyncGenerator[Event]:
            await looked.wait()
            async for event in subscribe(run_id, after, tree=tree):
                yield event

        monkeypatch.setattr(engine, "get", seen)
        monkeypatch.setattr(engine, "subscribe", late)
        session = Session(Common().console(), Project(":memory:"), engine)
        with anyio.fail_after(60):
            assert await Follower(session, run.id, Manner(), ours=True).follow() == "ended"
    told = capsys.readouterr().err
    assert "step last completed" in told


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
async def test_a_disk_that_is_full_in_the_middle_of_a_run_is_told_once_and_that_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def big(n: int) -> str:
        return f"{n}:" + "x" * 200_000

    step = python("load", function="m:big", input={"n": "{item}"}, for_each=ForEachField(in_=list(range(60))))
    flow = Workflow(id="flow", steps=(step,), max_parallel=2, output="done")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    told = ""
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 << 20, before[1]))
    try:
        async with Engine.open(tmp_path / "runs.db", workflows=[flow], functions={"m:big": big}, grace=0.0) as engine:
            session = Session(Common().console(), Project(str(tmp_path / "runs.db")), engine)
            with anyio.fail_after(60):
                run = await engine.start("flow", {})
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(Follower(session, run.id, Manner(), ours=True).follow)
                    while "commits fail" not in told:
                        await checkpoint()
                        told += capsys.readouterr().err
                    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    told += capsys.readouterr().err
    notices = [line for line in told.splitlines() if line.startswith("!")]
    assert len(notices) == 2
    assert notices[0].startswith("! commits fail [AF-STORE-")
    assert str(tmp_path / "runs.db") in notices[0]
    assert "The run goes on by itself when" in notices[0]
    assert notices[1] == "! it can be saved again: going on"
    assert "step load completed" in told


def test_a_full_disk_is_told_with_what_it_waits_for() -> None:
    error = StoreError(
        "The disk is full: runs.db can't grow. Nothing of this change was saved.",
        code="AF-STORE-FULL",
        why="FullError: database or disk is full",
    )
    assert refusal(error) == (
        "! commits fail [AF-STORE-FULL]: The disk is full: runs.db can't grow (FullError: database or disk is full)."
        " The run goes on by itself when there is room"
    )


async def test_a_pause_by_another_process_is_told_and_that_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened, inside = anyio.Event(), anyio.Event()

    async def hold() -> int:
        inside.set()
        await opened.wait()
        return 1

    flow = Workflow(id="flow", steps=(python("hold", function="m:hold"), set_("after", value=2)))
    told = ""
    path = tmp_path / "runs.db"
    async with Engine.open(path, workflows=[flow], functions={"m:hold": hold}) as engine:
        session = Session(Common().console(), Project(str(path)), engine)
        with anyio.fail_after(60):
            run = await engine.start("flow", {})
            async with anyio.create_task_group() as tasks, Engine.open(path, host="none") as other:
                tasks.start_soon(Follower(session, run.id, Manner(), ours=True).follow)
                await inside.wait()
                await other.pause(run.id)
                while "paused" not in told:
                    await checkpoint()
                    told += capsys.readouterr().err
                opened.set()
                await other.unpause(run.id)
    told += capsys.readouterr().err
    assert [line for line in told.splitlines() if line.startswith("!")] == [
        f"! paused by another process; go on: agentflow runs unpause {run.id[-6:]}",
        "! not paused any more: going on",
    ]
    assert "step after completed" in told


async def test_a_pause_that_was_over_before_the_following_began_is_not_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = Workflow(id="flow", steps=(wait_for_input("ask", message="?", schema={}),))
    async with Engine.open(tmp_path / "runs.db", workflows=[flow]) as engine:
        session = Session(Common().console(), Project(""), engine)
        with anyio.fail_after(60):
            run = await engine.start("flow", {})
            await engine.wait(run.id)
            await engine.pause(run.id)
            over = await engine.unpause(run.id)
            while engine.core.env.now() <= over.updated_at:
                await checkpoint()
            assert await Follower(session, run.id, Manner(), ours=True).follow() == "parked"
    assert "paused" not in capsys.readouterr().err
