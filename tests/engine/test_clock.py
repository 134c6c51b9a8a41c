"""A clock that jumps back an hour: nothing is lost, nothing runs twice, the log keeps its order, times come."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import anyio
import pytest

from agentflow.definition.models import RetryPolicy
from agentflow.engine import Answer, Engine
from agentflow.steps import Workflow, delay, python, wait_for_event, wait_for_input
from agentflow.store import open_store
from agentflow.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

HOUR = 3600.0


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that only the test moves."""
    return FakeClock(auto=False)


async def test_a_run_keeps_its_order_its_waits_and_its_timers(tmp_path: Path, clock: FakeClock) -> None:
    called = Counter[str]()

    async def work(name: str) -> str:
        called[name] += 1
        return name

    flow = Workflow(
        id="flow",
        steps=(
            python("a", function="m:work", input={"name": "a"}),
            wait_for_input("ask", message="?"),
            python("b", function="m:work", input={"name": "b"}),
            wait_for_event("paid", topic="paid"),
            delay("sleep", for_="10s"),
            python("c", function="m:work", input={"name": "c"}),
        ),
    )
    async with Engine.open(tmp_path / "runs.db", workflows=[flow], functions={"m:work": work}, clock=clock) as engine:
        with anyio.fail_after(60):
            run = await engine.start("flow")
            await engine.wait(run.id)
            clock.advance(-HOUR)
            await engine.resume((await engine.waits())[0].id, Answer({}))
            await _reached(engine, run.id, "step_waiting", "paid")
            assert await engine.publish("paid", {"order": 1}) == 1
            await _reached(engine, run.id, "step_started", "sleep")
            clock.advance(11)
            done = await engine.wait(run.id)
        assert done.state == "completed"
        events = await engine.store.events(run.id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [event.pos for event in events] == sorted(event.pos for event in events)
        row = await engine.store.get_run(run.id)
        assert row is not None
        assert row.updated_at >= row.created_at
    assert called == {"a": 1, "b": 1, "c": 1}


async def test_an_event_published_after_the_jump_reaches_a_wait_that_opens_later(
    tmp_path: Path, clock: FakeClock
) -> None:
    flow = Workflow(id="flow", steps=(wait_for_input("ask", message="?"), wait_for_event("paid", topic="paid")))
    async with Engine.open(tmp_path / "runs.db", workflows=[flow], clock=clock) as engine:
        with anyio.fail_after(60):
            run = await engine.start("flow")
            await engine.wait(run.id)
            clock.advance(-HOUR)
            assert await engine.publish("paid", {"order": 1}) == 0
            await engine.resume((await engine.waits())[0].id, Answer({}))
            done = await engine.wait(run.id)
        assert (done.state, done.output) == ("completed", {"order": 1})


async def test_leases_know_no_time(tmp_path: Path, clock: FakeClock) -> None:
    """A host is alive while it holds its lock: a jump neither takes its runs away nor keeps a dead one's."""
    started, go = anyio.Event(), anyio.Event()
    called = Counter[str]()

    async def slow() -> str:
        called["slow"] += 1
        started.set()
        await go.wait()
        return "done"

    path = tmp_path / "runs.db"
    flow = Workflow(id="flow", steps=(python("slow", function="m:slow"),))
    functions = {"m:slow": slow}
    with anyio.fail_after(60):
        async with Engine.open(path, workflows=[flow], functions=functions, clock=clock) as engine:
            run = await engine.start("flow")
            await started.wait()
            for jump in (-HOUR, 5 * HOUR):
                clock.advance(jump)
                async with Engine.open(path, workflows=[flow], functions=functions, clock=clock) as other:
                    await other.host.takeover.claim()
                    assert not other.core.cache.trees
            go.set()
            assert (await engine.wait(run.id)).state == "completed"
    assert called == {"slow": 1}


async def test_purging_after_a_jump_deletes_nothing_that_ended_later(tmp_path: Path, clock: FakeClock) -> None:
    flow = Workflow(id="flow", steps=(delay("none", for_="0s"),))
    async with Engine.open(tmp_path / "runs.db", workflows=[flow], clock=clock) as engine:
        with anyio.fail_after(60):
            run = await engine.start("flow")
            await engine.wait(run.id)
            clock.advance(-HOUR)
            assert await engine.purge(0.0) == 0
            clock.advance(2 * HOUR)
            assert await engine.purge(0.0) == 1
    store = await open_store(tmp_path / "runs.db")
    assert await store.get_run(run.id) is None
    await store.close()


async def test_times_of_a_real_host_come_although_its_wall_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause, a pause before a retry, and the timeout of a step that runs already."""
    began, wall = anyio.Event(), time.time
    tries = 0

    async def hang() -> None:
        began.set()
        await anyio.sleep_forever()

    async def flaky() -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("the first try fails")
        return "done"

    flow = Workflow(
        id="flow",
        execution="parallel",
        steps=(
            python("hang", function="m:hang", timeout=0.3, on_error="continue"),
            delay("nap", for_="300ms"),
            python("flaky", function="m:flaky", retry=RetryPolicy(base=0.3), depends_on=("nap",)),
        ),
    )
    functions = {"m:hang": hang, "m:flaky": flaky}
    async with Engine.open(tmp_path / "runs.db", workflows=[flow], functions=functions) as engine:
        with anyio.fail_after(60):
            run = await engine.start("flow")
            await began.wait()
            monkeypatch.setattr(time, "time", lambda: wall() - HOUR)
            done = await engine.wait(run.id)
            steps = {step.address: step for step in await engine.steps(run.id)}
    assert (done.state, tries) == ("completed", 2)
    assert b"AF-TIMEOUT" in (steps["hang"].error or b"")


async def _reached(engine: Engine, run_id: str, kind: str, step: str) -> None:
    async for event in engine.subscribe(run_id):
        if (event.type, event.step) == (kind, step):
            return
