"""Reducers of the user's, whatever completes a step: they work in a thread, and who needs them waits, in the store."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest

from agentflow.definition.models import RetryPolicy, Step, Workflow
from agentflow.engine import Answer, Engine, Run
from agentflow.engine.host import refolding
from agentflow.steps import delay, for_each, parallel, saga, sequence, set_, switch, wait_for_input, while_, workflow
from agentflow.testing import RunOutcome
from tests.engine.hands import Fails, same
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio

KEY: Any = {"k": {"default": [], "reducer": "lab:red"}}
KID = Workflow(id="kid", steps=(set_("inner", value=1),))
OTHER = Workflow(id="other", steps=(set_("b", value=2),))
OUT = "{context.k}"
RETRY = RetryPolicy(max_attempts=3, base=0.01)


def writes(name: str) -> dict[str, Any]:
    return {"k": f"{{steps.{name}}}"}


def makers() -> dict[str, Step]:
    """Return steps that write to the key, by what completes them."""
    one = [set_("in", value=1)]
    loop = while_("w", condition="{index} < 2", max_iterations=3, steps=one, update=writes("w"))
    return {
        "leaf": set_("w", value=1, update=writes("w")),
        "sequence": sequence("w", steps=one, update=writes("w")),
        "parallel": parallel("w", steps=one, update=writes("w")),
        "empty": for_each("w", in_=[], steps=one, update=writes("w")),
        "for_each": for_each("w", in_=[1, 2], steps=one, update=writes("w")),
        "while": loop,
        "saga": saga("w", steps=one, update=writes("w")),
        "switch": switch("w", cases=[(True, one)], update=writes("w")),
        "workflow": workflow("w", workflow="kid", update=writes("w")),
        "delay": delay("w", for_="1s", update=writes("w")),
        "wait": wait_for_input("w", message="?", update=writes("w")),
        "default": wait_for_input("w", message="?", timeout="1s", default=3, update=writes("w")),
        "hooked": sequence("w", steps=one, on_success=[set_("h", value=2)], update=writes("w")),
    }


class Red:
    """A reducer that appends, once it may, and notes the threads that it was called in."""

    def __init__(self, *, opened: bool = False) -> None:
        self.threads: list[int] = []
        self.inside = anyio.Event()
        self.go = threading.Event()
        if opened:
            self.go.set()

    def __call__(self, old: Any, new: Any) -> Any:
        self.threads.append(threading.get_ident())
        anyio.from_thread.run_sync(self.inside.set)
        assert self.go.wait(LIMIT)
        return [*old, new]

    async def entered(self) -> None:
        """Return when it is at work."""
        with anyio.fail_after(LIMIT):
            await self.inside.wait()


def lab_with(lab: Lab, red: Any) -> Lab:
    return replace(lab, functions={**lab.functions, "lab:red": red})


async def begun(engine: Engine, kind: str) -> Run:
    """Start a run, and answer where it asks."""
    run = await engine.start("main")
    if kind == "wait":
        with anyio.fail_after(LIMIT):
            await engine.wait(run.id)
            await engine.resume((await engine.waits(run.id))[0].id, Answer(4))
    return run


@pytest.mark.parametrize("kind", makers())
async def test_a_reducer_that_blocks_keeps_nobody_whatever_completes_its_step(lab: Lab, kind: str) -> None:
    red, loop = Red(), threading.get_ident()
    lab = lab_with(lab, red)
    flow = lab.workflow(makers()[kind], context=KEY, output=OUT)
    async with lab.open(flow, KID, OTHER) as engine:
        run = await begun(engine, kind)
        await red.entered()
        assert (await lab.finish(engine, await engine.start("other"))).output == 2
        assert (await engine.get(run.id)).state == "working"
        red.go.set()
        done = await lab.finish(engine, run)
    assert (done.state, len(done.output)) == ("completed", 1)
    assert done.steps_of("step_completed").count("w") == 1
    assert done.steps_of("step_started").count("w") <= 1
    assert done.tries["w"] == 1
    assert loop not in red.threads


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("kind", makers())
async def test_a_run_whose_reducer_blocks_can_be_cancelled(lab: Lab, kind: str, force: bool) -> None:
    red = Red()
    lab = lab_with(lab, red)
    async with lab.open(lab.workflow(makers()[kind], context=KEY), KID) as engine:
        run = await begun(engine, kind)
        await red.entered()
        with anyio.fail_after(LIMIT):
            await engine.cancel(run.id, force=force)
            done = await lab.finish(engine, run)
        red.go.set()
    assert (done.state, done.states["w"]) == ("canceled", "canceled")


@pytest.mark.parametrize("kind", makers())
async def test_what_a_reducer_raises_fails_the_step_and_the_next_attempt_may_do_better(lab: Lab, kind: str) -> None:
    calls: list[Any] = []

    def red(old: Any, new: Any) -> Any:
        calls.append(new)
        raise ValueError("not this one")

    lab = lab_with(lab, red)
    step = makers()[kind].model_copy(update={"on_error": "continue"})
    async with lab.open(lab.workflow(step, set_("after", value=OUT), context=KEY), KID) as engine:
        run = await begun(engine, kind)
        await until(engine, run.id, "run_completed")
        done = await lab.finish(engine, run)
    assert (done.state, done.output, done.reasons["w"]) == ("completed", [], "tolerated")
    assert done.errors["w"].code == "AF-STEP-RAISED"
    assert "not this one" in done.errors["w"].message
    assert "w" not in done.steps_of("step_completed")


async def test_a_step_whose_reducer_failed_has_the_result_of_its_next_attempt(lab: Lab) -> None:
    fails = Fails(1)

    def red(old: Any, new: Any) -> Any:
        fails()
        return [*old, new]

    numbers = iter(range(10))
    lab = lab_with(lab, red)
    step = lab.call("w", lambda: next(numbers), update=writes("w"), retry=RETRY)
    done = await lab.run(step, context=KEY, output={"w": "{steps.w}", "k": OUT})
    assert done.output == {"w": 1, "k": [1]}


@pytest.mark.parametrize("kind", [kind for kind in makers() if kind != "leaf"])
async def test_the_next_process_goes_on_where_a_reducer_was_at_work(lab: Lab, tmp_path: Path, kind: str) -> None:
    red, path = Red(), tmp_path / "runs.db"
    lab = lab_with(lab, red)
    flow = lab.workflow(makers()[kind], context=KEY, output=OUT)
    async with lab.open(flow, KID, store=path) as engine:
        run = await begun(engine, kind)
        await red.entered()
    red.go.set()
    lab = lab_with(lab, Red(opened=True))
    async with lab.open(flow, KID, store=path) as engine:
        done = await lab.finish(engine, run)
    assert done.state == "completed", done.errors
    assert len(done.output) == 1
    assert done.steps_of("step_completed").count("w") == 1


def contended(lab: Lab) -> list[Step]:
    """Return steps of which one is tried again, while others write to the same key."""
    fails = Fails(2)
    box = [lab.call("a", same, input={"n": 1}, update=writes("a")), lab.call("flaky", fails)]
    both = parallel("both", steps=[sequence("box", steps=box, retry=RETRY), set_("beside", value=2, update={"k": "2"})])
    return [set_("before", value=0, update=writes("before")), both]


async def test_a_container_that_is_tried_again_has_what_is_left_folded_in_a_thread(lab: Lab) -> None:
    red, loop = Red(opened=True), threading.get_ident()
    lab = lab_with(lab, red)
    done = await lab.run(*contended(lab), context=KEY, output=OUT)
    assert done.state == "completed", done.errors
    assert sorted(map(str, done.output)) == ["0", "1", "2"]
    assert loop not in red.threads


async def test_many_that_end_in_any_order_are_folded_once_each(lab: Lab) -> None:
    red, loop = Red(opened=True), threading.get_ident()
    lab = lab_with(lab, red)
    inner = [sequence(f"s{n}", steps=[set_("x", value=n)], update=writes(f"s{n}")) for n in range(12)]
    leaves = [lab.call(f"l{n}", same, input={"n": n}, update=writes(f"l{n}")) for n in range(12)]
    done = await lab.run(parallel("all", steps=[*inner, *leaves]), context=KEY, output=OUT)
    assert len(done.output) == 24
    assert loop not in red.threads


async def parked(lab: Lab, path: Path) -> tuple[Workflow, Run]:
    flow = lab.workflow(
        set_("w", value=1, update=writes("w")), wait_for_input("ask", message="?"), context=KEY, output=OUT
    )
    async with lab_with(lab, Red(opened=True)).open(flow, OTHER, store=path) as engine:
        return flow, (await lab.finish(engine, await engine.start("main"))).run


async def test_a_reducer_that_blocks_while_a_run_is_read_keeps_no_other_run(lab: Lab, tmp_path: Path) -> None:
    red, loop, path = Red(), threading.get_ident(), tmp_path / "runs.db"
    flow, run = await parked(lab, path)
    lab = lab_with(lab, red)
    async with lab.open(flow, OTHER, store=path) as engine, anyio.create_task_group() as group:
        wait = (await engine.waits(run.id))[0].id
        group.start_soon(engine.resume, wait, Answer(1))
        await red.entered()
        assert (await lab.finish(engine, await engine.start("other"))).output == 2
        red.go.set()
        await until(engine, run.id, "run_completed")
        assert (await lab.finish(engine, run)).output == [1]
    assert loop not in red.threads


async def test_a_run_is_cancelled_although_its_reducer_blocks_while_it_is_read(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refolding, "PATIENCE", 0.0)
    red, path = Red(), tmp_path / "runs.db"
    flow, run = await parked(lab, path)
    lab = lab_with(lab, red)
    async with lab.open(flow, OTHER, store=path) as engine:
        with anyio.fail_after(LIMIT):
            assert (await engine.cancel(run.id)).state == "canceled"
        red.go.set()


async def test_a_run_that_is_retried_folds_what_it_keeps_in_a_thread(lab: Lab) -> None:
    red, loop = Red(opened=True), threading.get_ident()
    lab = lab_with(lab, red)
    steps = [set_("w", value=1, update=writes("w")), lab.call("flaky", Fails(1))]
    async with lab.open(lab.workflow(*steps, context=KEY, output=OUT)) as engine:
        failed: RunOutcome = await lab.finish(engine, await engine.start("main"))
        again = await engine.retry(failed.run.id)
        assert isinstance(again, Run)
        assert (await lab.finish(engine, again)).output == [1]
    assert loop not in red.threads


async def test_a_reducer_may_write_into_what_it_is_given(lab: Lab) -> None:
    def red(old: Any, new: Any) -> Any:
        old.append(new)
        return old

    lab = lab_with(lab, red)
    steps = [set_(f"s{n}", value=n, update=writes(f"s{n}")) for n in range(3)]
    done = await lab.run(*steps, context=KEY, output=OUT)
    assert done.output == [0, 1, 2]
