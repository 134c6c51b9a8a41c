"""What a failure does: to its run, to what stands beside it, and to what depends on it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import anyio
import pytest

from agentflow.definition.models import Step
from agentflow.steps import set_, wait_for_input
from tests.engine.hands import Fails, Gate
from tests.engine.lab import Lab, until

pytestmark = pytest.mark.anyio


def parallel_steps(lab: Lab, first: Callable[..., object], later: list[str], gate: Gate) -> list[Step]:
    """a fails, b runs already, c gets no slot before a has failed."""
    return [
        lab.call("a", first, execution="parallel"),
        lab.call("b", gate, execution="parallel"),
        lab.call("c", lambda: later.append("c"), execution="parallel"),
    ]


@pytest.mark.case("D-RUN-5", "A-8")
async def test_what_follows_a_failed_step_is_not_reached(lab: Lab) -> None:
    done = await lab.run(set_("ok", value=1), lab.call("fail", Fails()), set_("after", value="{steps.fail}"))
    assert done.state == "failed"
    assert done.states == {"ok": "completed", "fail": "failed", "after": "submitted"}
    assert done.run.failure is not None
    assert (done.run.failure.step, done.run.failure.code) == ("fail", "AF-PYTHON-RAISED")
    assert done.steps_of("step_started") == ["ok", "fail"]


@pytest.mark.case("D-RUN-11")
async def test_by_default_running_siblings_finish_and_no_further_step_starts(lab: Lab) -> None:
    later, gate, fails = list[str](), Gate(), Gate()

    async def fail() -> None:
        await fails()
        raise RuntimeError("broken")

    async with lab.open(lab.workflow(*parallel_steps(lab, fail, later, gate), max_parallel=2)) as engine:
        run = await engine.start("main")
        await gate.inside()
        fails.open()
        await until(engine, run.id, "step_failed", "a")
        gate.open()
        done = await lab.finish(engine, run)
    assert (done.state, later, gate.interrupted) == ("failed", [], 0)
    assert done.states["b"] == "completed"
    assert done.states["c"] in {"submitted", "canceled"}


@pytest.mark.case("D-RUN-11")
async def test_with_cancel_running_siblings_are_interrupted(lab: Lab) -> None:
    later, gate, fails = list[str](), Gate(), Gate()

    async def fail() -> None:
        await fails()
        raise RuntimeError("broken")

    steps = parallel_steps(lab, fail, later, gate)
    async with lab.open(lab.workflow(*steps, max_parallel=2, on_error_siblings="cancel")) as engine:
        run = await engine.start("main")
        await gate.inside()
        fails.open()
        done = await lab.finish(engine, run)
    assert (done.state, later, gate.interrupted) == ("failed", [], 1)
    assert (done.states["b"], done.reasons["b"]) == ("canceled", "sibling_failed")


@pytest.mark.case("D-RUN-11")
async def test_with_continue_what_does_not_depend_on_the_failed_step_still_runs(lab: Lab) -> None:
    later, gate = list[str](), Gate()
    gate.open()
    done = await lab.run(*parallel_steps(lab, Fails(), later, gate), on_error_siblings="continue", max_parallel=1)
    assert (done.state, later) == ("failed", ["c"])
    assert list(done.states.values()) == ["failed", "completed", "completed"]


@pytest.mark.case("D-RUN-12")
@pytest.mark.parametrize("policy", ["finish", "cancel", "continue"])
async def test_a_failure_at_the_head_of_a_chain_fails_the_run_and_blocks_the_rest(lab: Lab, policy: str) -> None:
    """Invariant 1: the run ends, with what is blocked and by whom."""
    chain = [lab.call("a", Fails(), execution="parallel")]
    chain += [set_(name, value=1, depends_on=before) for before, name in ("ab", "bc", "cd")]
    done = await lab.run(*chain, on_error_siblings=policy)
    assert done.state == "failed"
    assert done.run.failure is not None
    assert done.run.failure.step == "a"
    assert [done.states[name] for name in "bcd"] == ["submitted"] * 3


@pytest.mark.case("A-2")
async def test_a_step_that_succeeds_at_the_third_try_was_called_three_times(lab: Lab) -> None:
    flaky = Fails(2)
    done = await lab.run(lab.call("a", flaky, retry={"max_attempts": 5, "backoff": "fixed", "base": 0.01}))
    assert (done.state, done.tries["a"], flaky.calls) == ("completed", 3, 3)


@pytest.mark.case("A-3")
async def test_a_step_that_always_fails_is_called_as_often_as_its_policy_says(lab: Lab) -> None:
    broken = Fails()
    done = await lab.run(lab.call("a", broken, retry={"max_attempts": 3, "base": 0.01}))
    assert (done.state, done.states["a"], done.tries["a"], broken.calls) == ("failed", "failed", 3, 3)


@pytest.mark.case("A-4")
async def test_a_tolerated_failure_lets_its_dependents_run(lab: Lab) -> None:
    broken = Fails()
    done = await lab.run(
        lab.call("a", broken, retry={"max_attempts": 2, "base": 0.01}, on_error="continue"),
        set_("b", values={"a": "{steps.a}", "why": "{run.steps.a.error.message}"}, depends_on="a"),
    )
    assert (done.state, broken.calls) == ("completed", 2)
    assert (done.states["a"], done.reasons["a"]) == ("canceled", "tolerated")
    assert done.output == {"a": None, "why": "RuntimeError: broken"}


@pytest.mark.case("A-16")
async def test_any_of_two_that_both_fail_is_not_run_and_the_run_fails(lab: Lab) -> None:
    calls: list[str] = []
    done = await lab.run(
        lab.call("x", Fails(), execution="parallel"),
        lab.call("y", Fails(), execution="parallel"),
        lab.call("next", lambda: calls.append("next"), depends_on_any=["x", "y"]),
        on_error_siblings="continue",
    )
    assert (done.state, calls, done.states["next"]) == ("failed", [], "submitted")


@pytest.mark.case("A-16")
async def test_any_of_two_of_which_one_is_tolerated_runs_after_the_other(lab: Lab) -> None:
    done = await lab.run(
        lab.call("x", Fails(), execution="parallel", on_error="continue"),
        set_("y", value=2, execution="parallel"),
        set_("next", value="{steps.y?}", depends_on_any=["x", "y"]),
    )
    assert (done.state, done.output) == ("completed", 2)


class Strange(BaseException):
    """An exception that no `except Exception` catches."""


def deep(n: int) -> int:
    """Recurse until Python has enough of it."""
    return deep(n + 1)


async def give_up() -> None:
    raise Strange("of its own")


async def exits() -> None:
    sys.exit(3)


async def overflow() -> None:
    deep(0)


async def grouped() -> None:
    raise BaseExceptionGroup("several", [Strange("one"), ValueError("two")])


class Unspeakable(Exception):
    """An exception that can't even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


async def unspeakable() -> None:
    raise Unspeakable


@pytest.mark.case("A-19")
@pytest.mark.parametrize("function", [give_up, exits, overflow, grouped, unspeakable])
async def test_whatever_a_step_raises_fails_the_step_and_ends_the_run(
    lab: Lab, function: Callable[..., object]
) -> None:
    """Invariant 23."""
    steps = [lab.call("a", function), set_("b", value=1)]
    async with lab.open(lab.workflow(*steps), lab.workflow(set_("x", value=1), id="other")) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        assert (done.state, done.states) == ("failed", {"a": "failed", "b": "submitted"})
        assert (await lab.finish(engine, await engine.start("other"))).state == "completed"


@pytest.mark.case("A-19")
async def test_a_sync_function_that_exits_fails_its_step_too(lab: Lab) -> None:
    done = await lab.run(lab.call("a", lambda: sys.exit("bye")))
    assert (done.state, done.states["a"]) == ("failed", "failed")


@pytest.mark.case("D-STUCK-1")
async def test_a_run_with_steps_that_are_only_pending_is_not_failed(lab: Lab) -> None:
    """Pending steps alone, and completed ones alone, don't make a run fail; a failure with nothing pending does."""
    async with lab.open(lab.workflow(wait_for_input("w", message="?"), set_("b", value=1)), lab.workflow(
        set_("a", value=1), id="done"), lab.workflow(set_("a", value=1), lab.call("b", Fails()), id="broken"),
    ) as engine:  # fmt: skip
        states = {
            name: (await lab.finish(engine, await engine.start(name))).state for name in ("main", "done", "broken")
        }
    assert states == {"main": "input-required", "done": "completed", "broken": "failed"}


async def test_the_first_failure_by_commit_order_is_the_runs_and_the_others_are_listed(lab: Lab) -> None:
    """Invariant 24."""
    gates = {name: Gate() for name in "abc"}

    def failing(name: str) -> Callable[..., object]:
        async def fail() -> None:
            await gates[name]()
            raise RuntimeError(name)

        return fail

    steps = [lab.call(name, failing(name), execution="parallel") for name in "abc"]
    async with lab.open(lab.workflow(*steps)) as engine:
        run = await engine.start("main")
        for name in "bca":
            await gates[name].inside()
            gates[name].open()
            await until(engine, run.id, "step_failed", name)
        done = await lab.finish(engine, run)
    assert done.steps_of("step_failed") == ["b", "c", "a"]
    assert done.run.failure is not None
    assert done.run.failure.step == "b"
    assert sorted(done.errors) == ["a", "b", "c"]


@pytest.mark.case("D-RUN-15")
async def test_a_run_that_is_cancelled_between_steps_starts_no_further_step_and_stays_canceled(lab: Lab) -> None:
    gate, later = Gate(), list[str]()
    steps = [lab.call("a", gate), lab.call("b", lambda: later.append("b"))]
    async with lab.open(lab.workflow(*steps)) as engine:
        run = await engine.start("main")
        await gate.inside()
        with anyio.fail_after(60):
            await engine.cancel(run.id)
        await gate.left()
        gate.open()
        done = await lab.finish(engine, run)
        assert (done.state, later, gate.interrupted) == ("canceled", [], 1)
        assert (await engine.cancel(run.id)).state == "canceled"
