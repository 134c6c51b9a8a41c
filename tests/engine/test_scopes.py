"""Failing, ending early and hooks: what happens to the other steps of a scope."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.definition.models import Step
from agentflow.engine import Answer
from agentflow.steps import condition, delay, end, for_each, parallel, sequence, set_, wait_for_input
from agentflow.steps.contract import Park, Timer, Wait
from tests.engine.hands import Fails, Gate, by_hand
from tests.engine.lab import Lab, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def log() -> list[str]:
    return []


def note(lab: Lab, log: list[str], name: str, **common: Any) -> Step:
    return lab.call(name, lambda: log.append(name), **common)


@pytest.mark.case("W-E-12", "D-RUN-11")
async def test_by_default_what_executes_ends_and_nothing_new_starts(lab: Lab) -> None:
    gate, after = Gate("done"), Fails(0)
    steps = lab.call("slow", gate), lab.call("broken", Fails()), lab.call("next", after, depends_on="slow")
    async with lab.open(lab.workflow(*steps, execution="parallel")) as engine:
        run = await engine.start("main")
        await gate.inside()
        await until(engine, run.id, "step_failed")
        assert (await engine.get(run.id)).state == "working"
        gate.open()
        done = await lab.finish(engine, run)
    assert (done.state, done.states) == ("failed", {"slow": "completed", "broken": "failed", "next": "submitted"})
    assert (gate.interrupted, after.calls) == (0, 0)


async def test_finish_closes_waits_timers_and_pauses_of_siblings_at_once_in_nested_containers_too(lab: Lab) -> None:
    still = by_hand(lab)
    gate = Gate()
    box = parallel(
        "box",
        steps=[
            wait_for_input("ask", message="?"),
            delay("nap", for_=60),
            still.call("again", Fails(), on_error="retry"),
            sequence("inner", steps=[wait_for_input("deep", message="?"), set_("never", value=1)]),
        ],
    )

    async def late() -> None:
        await gate()
        raise RuntimeError("broken")

    async with still.open(still.workflow(box, still.call("broken", late), execution="parallel")) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_retrying")
        gate.open()
        done = await still.finish(engine, run)
        assert await engine.store.next_due() is None
    assert done.state == "failed"
    for address in ("box", "box/ask", "box/nap", "box/again", "box/inner", "box/inner/deep"):
        assert (done.states[address], done.reasons[address]) == ("canceled", "sibling_failed"), address
    assert done.states.get("box/inner/never", "submitted") == "submitted"
    assert not done.waits


async def test_finish_lets_a_loop_end_its_item_and_opens_no_other(lab: Lab) -> None:
    gate = Gate()
    loop = for_each("each", in_=[1, 2, 3], max_parallel=1, steps=[lab.call("x", gate)])
    async with lab.open(lab.workflow(loop, lab.call("broken", Fails()), execution="parallel")) as engine:
        run = await engine.start("main")
        await gate.inside()
        await until(engine, run.id, "step_failed")
        gate.open()
        done = await lab.finish(engine, run)
    assert (done.state, gate.entered, done.states["each[0]/x"]) == ("failed", 1, "completed")


@pytest.mark.parametrize("nested", [False, True])
async def test_cancel_interrupts_siblings(lab: Lab, nested: bool) -> None:
    gate = Gate()
    slow = lab.call("slow", gate)

    async def late() -> None:
        await gate.inside()
        raise RuntimeError("broken")

    other = parallel("box", steps=[slow]) if nested else slow
    flow = lab.workflow(other, lab.call("broken", late), execution="parallel", on_error_siblings="cancel")
    async with lab.open(flow) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    address = "box/slow" if nested else "slow"
    assert (done.state, gate.interrupted) == ("failed", 1)
    assert (done.states[address], done.reasons[address]) == ("canceled", "sibling_failed")


@pytest.mark.case("D-RUN-11")
async def test_continue_runs_everything_that_does_not_depend_on_the_failure(lab: Lab, log: list[str]) -> None:
    steps = (
        lab.call("a", Fails()),
        note(lab, log, "b"),
        note(lab, log, "c", depends_on="b"),
        note(lab, log, "d", depends_on=["a", "c"]),
    )
    done = await lab.run(*steps, execution="parallel", on_error_siblings="continue")
    assert (done.state, log, done.states["d"]) == ("failed", ["b", "c"], "submitted")
    assert done.run.failure is not None
    assert done.run.failure.step == "a"


async def test_continue_lets_all_items_of_a_loop_run_and_then_fails_it(lab: Lab, log: list[str]) -> None:
    def work(item: int) -> None:
        log.append(str(item))
        if item == 1:
            raise RuntimeError("broken")

    body = [lab.call("x", work, input={"item": "{item}"})]
    loop = for_each("each", in_=[1, 2, 3], max_parallel=1, steps=body, on_error_siblings="continue")
    done = await lab.run(loop)
    assert (done.state, done.states["each"], log) == ("failed", "failed", ["1", "2", "3"])


async def test_a_container_has_a_policy_of_its_own(lab: Lab, log: list[str]) -> None:
    box = parallel(
        "box", steps=[lab.call("a", Fails()), note(lab, log, "b", depends_on="c"), note(lab, log, "c")],
        on_error_siblings="continue", on_error="continue",
    )  # fmt: skip
    done = await lab.run(box, note(lab, log, "after"))
    assert (done.state, log) == ("completed", ["c", "b", "after"])
    assert (done.states["box"], done.reasons["box"]) == ("canceled", "tolerated")


@pytest.mark.case("A-4")
async def test_a_tolerated_step_is_null_and_its_error_stands_under_run(lab: Lab) -> None:
    steps = (
        lab.call("a", Fails(error=lambda: RuntimeError("no luck")), on_error="continue"),
        set_("b", value={"whole": "{steps.a}", "below": "{steps.a.x.y}", "text": "<{steps.a.x}>"}),
        set_("c", value=["{run.steps.a.state}", "{run.steps.a.error.code}", "{run.steps.a.reason}"]),
    )
    done = await lab.run(*steps)
    assert done.results["b"] == {"whole": None, "below": None, "text": "<>"}
    state, code, reason = done.output
    assert (state, reason, code[:3]) == ("canceled", "tolerated", "AF-")


@pytest.mark.case("W-Y-4", "A-27")
@pytest.mark.parametrize("good", [True, False])
async def test_finally_runs_after_success_and_failure_and_after_their_hooks(
    lab: Lab, log: list[str], good: bool
) -> None:
    work = Fails(0 if good else 99)
    hooks: dict[str, Any] = {name: (note(lab, log, name),) for name in ("on_success", "on_failure", "finally")}
    done = await lab.run(lab.call("a", work, retry=2), **hooks)
    assert done.state == ("completed" if good else "failed")
    assert log == ["on_success" if good else "on_failure", "finally"]
    assert done.states["#finally/finally"] == "completed"


@pytest.mark.case("W-Y-4")
async def test_a_containers_hooks_run_once_each_beside_those_of_others(lab: Lab, log: list[str]) -> None:
    common: dict[str, Any] = {"finally_": [note(lab, log, "tidy")], "on_success": [note(lab, log, "fine")]}
    box = parallel("box", steps=[note(lab, log, "a"), note(lab, log, "b")], **common)
    done = await lab.run(box, note(lab, log, "after"))
    assert sorted(log[:2]) == ["a", "b"]
    assert log[2:] == ["fine", "tidy", "after"]
    assert (done.state, done.states["box#finally/tidy"]) == ("completed", "completed")


@pytest.mark.case("A-27")
async def test_a_failing_hook_is_told_and_changes_nothing_but_a_failing_finally_fails_the_run(lab: Lab) -> None:
    for name in ("on_success", "finally"):
        hook: dict[str, Any] = {name: (lab.call("hook", Fails()),)}
        done = await lab.run(set_("a", value=1), **hook)
        (told,) = [event.data["hook"] for event in done.events if event.type == "hook_failed"]
        assert (told, done.state) == (name, "completed" if name == "on_success" else "failed")
    done = await lab.run(lab.call("a", Fails()), on_failure=(lab.call("hook", Fails()),))
    assert done.run.failure is not None
    assert done.run.failure.step == "a"


async def test_a_hook_sees_results_and_what_never_ran_is_null(lab: Lab) -> None:
    seen: list[Any] = []

    def look(**values: Any) -> None:
        seen.append(values)

    hook = lab.call("look", look, input={"a": "{steps.a}", "c": "{steps.c?}", "why": "{run.steps.b.error.message}"})
    await lab.run(set_("a", value=1), lab.call("b", Fails()), set_("c", value=3), on_failure=(hook,))
    assert len(seen) == 1
    assert (seen[0]["a"], seen[0]["c"]) == (1, None)
    assert "broken" in seen[0]["why"]


async def test_a_hook_may_wait(lab: Lab) -> None:
    ask = wait_for_input("ask", message="really?")
    async with lab.open(lab.workflow(set_("a", value=1), finally_=(ask,))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        assert (parked.state, parked.waits[0].step) == ("input-required", "#finally/ask")
        await engine.resume(parked.run.id, Answer(True))
        done = await lab.finish(engine, parked.run)
    assert (done.state, done.output) == ("completed", 1)


@pytest.mark.parametrize("state", ["completed", "failed", "rejected"])
async def test_an_early_end_stops_what_runs_and_leaves_out_the_rest(lab: Lab, state: Any) -> None:
    gate = Gate()

    async def wait_for_gate() -> None:
        await gate.inside()

    steps = (
        lab.call("slow", gate, execution="parallel"),
        lab.call("ready", wait_for_gate, execution="parallel"),
        end("stop", state=state, output={"n": 7}, message="that's all", depends_on="ready"),
        set_("never", value=1, depends_on="slow"),
    )
    done = await lab.run(*steps)
    assert (done.state, gate.interrupted) == (state, 1)
    assert done.output == {"n": 7}
    assert (done.states["stop"], done.states["slow"], done.reasons["slow"]) == ("completed", "canceled", "ended")
    assert (done.states["never"], done.reasons["never"]) == ("canceled", "ended")
    if state != "completed":
        assert done.run.failure is not None
        assert done.run.failure.message == "that's all"


async def test_an_early_end_of_a_container_gives_its_result_and_the_run_goes_on(lab: Lab) -> None:
    never = Fails(0)
    inner = condition("when", expression="true", if_true=[end("stop", scope="box", output="early")])
    box = sequence("box", steps=[set_("a", value=1), inner, lab.call("b", never)])
    done = await lab.run(box, set_("after", value="{steps.box}"))
    assert (done.state, done.output, never.calls) == ("completed", "early", 0)
    assert (done.states["box/b"], done.reasons["box/b"]) == ("canceled", "ended")


async def test_an_early_end_runs_the_hooks(lab: Lab, log: list[str]) -> None:
    hooks: dict[str, Any] = {name: (note(lab, log, name),) for name in ("on_success", "on_failure", "finally")}
    assert (await lab.run(end("stop"), set_("b", value=1), **hooks)).state == "completed"
    assert (await lab.run(end("stop", state="failed", message="x"), **hooks)).state == "failed"
    assert log == ["on_success", "finally", "on_failure", "finally"]


async def test_a_containers_timeout_interrupts_its_body_and_may_be_retried(lab: Lab) -> None:
    still = by_hand(lab)
    gates = [Gate(), Gate("fast")]
    gates[1].open()
    calls = iter(gates)

    async def work() -> Any:
        return await next(calls)()

    box = sequence("box", steps=[still.call("x", work)], timeout=10, retry={"max_attempts": 2, "base": 1})
    async with still.open(still.workflow(box)) as engine:
        run = await engine.start("main")
        await gates[0].inside()
        still.clock.advance(10)
        await until(engine, run.id, "step_retrying")
        await gates[0].left()
        assert gates[0].interrupted == 1
        still.clock.advance(1)
        done = await still.finish(engine, run)
    assert (done.state, done.output) == ("completed", {"x": "fast"})


async def test_what_runs_in_a_container_whose_time_is_over_is_cancelled(lab: Lab) -> None:
    still = by_hand(lab)
    gates = [Gate(), Gate()]
    deep = sequence("deep", steps=[still.call("y", gates[1]), set_("z", value=1)])
    box = parallel("box", steps=[still.call("x", gates[0]), wait_for_input("ask", message="?"), deep], timeout=10)
    async with still.open(still.workflow(box)) as engine:
        run = await engine.start("main")
        for gate in gates:
            await gate.inside()
        still.clock.advance(10)
        done = await still.finish(engine, run)
    assert (done.state, done.errors["box"].code, done.reasons["box"]) == ("failed", "AF-TIMEOUT", "timeout")
    assert done.errors["box"].step == "box"
    for address in ("box/x", "box/ask", "box/deep", "box/deep/y"):
        assert (done.states[address], done.reasons[address]) == ("canceled", "timeout"), address


async def test_time_in_an_open_wait_does_not_count_towards_a_steps_timeout(lab: Lab) -> None:
    """A python step that parks: its timeout is of an attempt's own time."""

    async def ask(ctx: Any) -> Any:
        return ctx.arrived if ctx.arrived is not None else Park(Wait("input", "?"), state={"n": 1}, then="enter")

    still = by_hand(lab)
    async with still.open(still.workflow(still.call("a", ask, timeout=5))) as engine:
        parked = await still.finish(engine, await engine.start("main"))
        still.clock.advance(1000)
        await engine.resume(parked.run.id, Answer("late"))
        done = await still.finish(engine, parked.run)
    assert (done.state, done.output) == ("completed", "late")


@pytest.mark.case("F-RUN-3")
async def test_a_timed_out_step_gives_a_timeout_error(lab: Lab) -> None:
    still = by_hand(lab)
    gate = Gate()
    async with still.open(still.workflow(still.call("a", gate, timeout=3, on_error="continue"))) as engine:
        run = await engine.start("main")
        await gate.inside()
        still.clock.advance(3)
        done = await still.finish(engine, run)
    assert (done.state, done.errors["a"].code, done.errors["a"].kind) == ("completed", "AF-TIMEOUT", "timeout")


@pytest.mark.case("F-N-2", "W-E-3")
async def test_a_step_that_parks_is_entered_again_with_its_state_and_what_arrived(lab: Lab) -> None:
    seen: list[Any] = []

    async def work(ctx: Any) -> Any:
        seen.append((ctx.state, ctx.arrived, ctx.attempt, ctx.tries))
        if ctx.state is None:
            return Park(Timer(ctx.now() + 60), state={"stage": 1}, then="enter")
        if ctx.state["stage"] == 1:
            return Park(Wait("input", "go on?"), state={"stage": 2}, then="enter")
        return {"answer": ctx.arrived}

    async with lab.open(lab.workflow(lab.call("a", work))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        (row,) = await engine.steps(parked.run.id)
        assert (row.attempt, row.entry) == (1, 1)
        await engine.resume(parked.run.id, Answer("yes"))
        done = await lab.finish(engine, parked.run)
        (row,) = await engine.steps(parked.run.id)
    assert seen == [(None, None, 1, 1), ({"stage": 1}, None, 1, 1), ({"stage": 2}, "yes", 1, 1)]
    assert (done.output, row.entry, row.attempt, row.tries) == ({"answer": "yes"}, 2, 1, 1)
