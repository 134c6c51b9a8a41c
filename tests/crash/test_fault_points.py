"""Crashes at every named point of a run: what was stored by then is the truth, and the run ends as if nothing was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.definition.models import RetryPolicy, Step, Workflow
from agentflow.engine import Answer, Engine
from agentflow.errors import Defect
from agentflow.faultpoints import POINTS
from agentflow.steps import condition, delay, for_each, parallel, saga, wait_for_input, while_, workflow
from agentflow.store import open_store
from agentflow.store.contract import Store
from agentflow.store.rows import TERMINAL, RunQuery
from agentflow.testing.clock import FakeClock
from agentflow.testing.faults import Fault, dying, fault
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio


class Diary:
    """What steps did outside: address → how often."""

    def __init__(self) -> None:
        self.entries: Counter[str] = Counter()
        self.committed: set[str] = set()
        """Steps that were completed in the store before the crash, and what they had done by then."""

    def write(self, value: Any, ctx: Any) -> Any:
        """Do something outside."""
        self.entries[ctx.address] += 1
        assert ctx.address not in self.committed, f"{ctx.address} was done already"
        return {"value": value}

    def fails_once(self, ctx: Any) -> Any:
        """Fail at the first try."""
        self.write(0, ctx)
        if ctx.tries == 1:
            raise RuntimeError("the first try fails")
        return {"tries": ctx.tries}

    async def count(self, at: int) -> dict[str, int]:
        """Count on."""
        await anyio.lowlevel.checkpoint()
        return {"n": at + 1}


def _workflows(lab: Lab, diary: Diary) -> tuple[Workflow, Workflow]:
    def log(id: str, value: Any = 1, **common: Any) -> Step:  # noqa: A002
        return lab.call(id, diary.write, input={"value": value}, **common)

    child = lab.workflow(log("c1"), delay("nap", for_="5s"), log("c2", "{steps.c1.value}"), id="child")
    main = lab.workflow(
        log("first"),
        wait_for_input("early", message="?", schema={"type": "object"}, execution="parallel"),
        for_each(
            "fan", in_="{input.items}", max_parallel=2,
            steps=[log("a", "{item}"), log("b", "{steps.a.value}")], execution="parallel",
        ),
        lab.call("flaky", diary.fails_once, retry=RetryPolicy(max_attempts=3, base=2.0), execution="parallel"),
        while_(
            "loop", condition="steps.n == null || steps.n.n < 3", max_iterations=9,
            steps=[lab.call("n", diary.count, input={"at": "{index}"})],
        ),
        condition("cond", expression="{steps.early.go}", if_true=[log("yes")], if_false=[log("no")]),
        workflow("sub", workflow="child"),
        saga("pay", steps=[log("book", compensate=[log("unbook")]), log("ship")]),
        parallel("both", steps=[log("x"), log("y")]),
        wait_for_input("late", message="?"),
        log("last", "{steps.late}"),
        id="main",
        output={
            "fan": "{steps.fan}", "flaky": "{steps.flaky}", "loop": "{steps.loop}", "cond": "{steps.cond}",
            "sub": "{steps.sub}", "pay": "{steps.pay}", "both": "{steps.both}", "last": "{steps.last}",
        },
        finally_=(log("bye"),),
    )  # fmt: skip
    return main, child


async def _answer_all(engine: Engine, run_id: str) -> None:
    """Answer every wait that opens until the run has ended."""
    while not (await engine.wait(run_id)).ended:
        await anyio.lowlevel.checkpoint()
        for view in await engine.waits(run_id):
            await engine.resume(view.id, Answer({"go": True} if view.step == "early" else 7), message_id=view.id)


async def _begin(engine: Engine) -> None:
    with anyio.fail_after(LIMIT):
        run = await engine.start("main", {"items": [1, 2, 3]}, idempotency_key="the one")
        await _answer_all(engine, run.id)


async def _note_committed(store: Store, diary: Diary) -> None:
    """Note what the store has of it: those steps must never start again."""
    for row in await store.list_runs(_everything()):
        for member in [row, *await store.list_runs(_everything(row.id))]:
            diary.committed.update(step.address for step in await store.list_steps(member.id) if step.state in TERMINAL)


def _everything(parent: str | None = None) -> Any:
    return RunQuery(parent=parent)


async def _with_a_crash(lab: Lab, point: str, nth: int, store: Store) -> tuple[Fault, Any, Diary]:
    diary = Diary()
    lab.functions.clear()
    flows = _workflows(lab, diary)
    with fault(point, nth) as struck:
        async with dying(lab.open(*flows, store=store)) as engine:
            await _begin(engine)
    await _note_committed(store, diary)
    async with lab.open(*flows, store=store) as engine:
        await engine.host.takeover.claim()
        # a client that saw no answer to its start asks again, by its key
        await _begin(engine)
        (run,) = await engine.list()
        done = await lab.look(engine, run.id)
        assert done.state == "completed", done.run.failure
        started = Counter(event.step for event in done.events if event.type == "step_completed")
        assert all(times == 1 for times in started.values()), started
    return struck, done.output, diary


async def _everywhere(lab: Lab, point: str, make: Callable[[], str], stride: int) -> int:
    """Let a run crash at each time (or each so-manieth) it comes to a point; returns how many crashes that were."""
    untouched, expected, calm = await _with_a_crash(lab, point, 0, await open_store(make()))
    assert untouched.reached >= 2
    crashes = 0
    for nth in range(1, untouched.reached + 1, stride):
        store = await open_store(make())
        struck, output, diary = await _with_a_crash(lab, point, nth, store)
        await store.close()
        if not struck.struck:  # this time more steps shared a commit
            assert nth > untouched.reached - 4
            continue
        crashes += 1
        assert output == expected, (point, nth)
        assert set(diary.entries) == set(calm.entries), (point, nth)
        # what was under way at the crash is done once more, and nothing else
        again = diary.entries - calm.entries
        assert not again.keys() & diary.committed, (point, nth, again)
    return crashes


@pytest.mark.case("F-CP-1", "F-CP-3", "F-CP-4", "A-29")
@pytest.mark.parametrize("point", POINTS)
async def test_a_crash_at_any_named_point_changes_nothing_of_the_outcome(lab: Lab, point: str) -> None:
    assert await _everywhere(lab, point, lambda: ":memory:", 1) >= 2


@pytest.mark.case("F-CP-1", "F-CP-3", "F-CP-4", "A-29")
@pytest.mark.parametrize("point", POINTS)
async def test_a_crash_at_a_named_point_leaves_a_file_that_goes_on(point: str, tmp_path: Path) -> None:
    count = iter(range(1000))
    lab = Lab(FakeClock(), always_replay=False)
    assert await _everywhere(lab, point, lambda: str(tmp_path / f"{next(count)}" / "runs.db"), 5) >= 1


async def test_a_cancel_from_outside_stops_the_host_in_good_order(lab: Lab, tmp_path: Path) -> None:
    began = anyio.Event()

    async def hang() -> None:
        began.set()
        await anyio.sleep_forever()

    flow = lab.workflow(lab.call("hang", hang))
    store = await open_store(tmp_path / "runs.db")
    with anyio.fail_after(LIMIT):
        async with anyio.create_task_group() as group:

            async def serve() -> None:
                async with lab.open(flow, store=store) as engine:
                    await engine.start("main", labels={"by": "test"})
                    await anyio.sleep_forever()

            group.start_soon(serve)
            await began.wait()
            group.cancel_scope.cancel()
    (run,) = await store.list_runs(RunQuery())
    (step,) = await store.list_steps(run.id)
    assert (run.state, run.holder) == ("working", None)
    assert (step.state, step.phase, step.crashes) == ("working", None, 0)
    await store.close()


def test_a_point_that_nobody_named_is_refused() -> None:
    with pytest.raises(Defect, match="no fault point"), fault("somewhere"):
        pass
