"""Conditions: `if` and `skip_if`, evaluated when a step is otherwise ready, and what follows a skipped step."""

from __future__ import annotations

import sys

import pytest

from agentflow.steps import set_
from agentflow.testing.clock import FakeClock
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio

OPTIONAL = {"type": "object", "properties": {"activity_id": {"type": "string"}}}


@pytest.mark.case("D-SKIP-1")
async def test_a_step_whose_skip_if_holds_is_canceled_and_the_next_completes(lab: Lab) -> None:
    steps = [set_("detect", value=1, skip_if="{input.activity_id}"), set_("next", value=2)]
    done = await lab.run(*steps, input={"activity_id": "a7"}, input_schema=OPTIONAL)
    assert (done.state, done.states) == ("completed", {"detect": "canceled", "next": "completed"})
    assert done.reasons["detect"] == "condition"
    assert done.steps_of("step_skipped") == ["detect"]


@pytest.mark.case("D-SKIP-2")
async def test_a_skip_if_over_a_missing_value_does_not_skip(lab: Lab) -> None:
    steps = [set_("detect", value=1, skip_if="{input.activity_id}"), set_("next", value=2)]
    done = await lab.run(*steps, input={}, input_schema=OPTIONAL)
    assert (done.state, done.states) == ("completed", {"detect": "completed", "next": "completed"})


@pytest.mark.case("D-SKIP-4")
@pytest.mark.parametrize(("ok", "state"), [(True, "completed"), (False, "canceled")])
async def test_a_condition_is_evaluated_only_once_what_it_reads_is_there(lab: Lab, ok: bool, state: str) -> None:
    async def a() -> dict[str, bool]:
        return {"ok": ok}

    done = await lab.run(lab.call("a", a), set_("b", value=1, depends_on="a", skip_if="!{steps.a.ok}"))
    assert (done.state, done.states["b"]) == ("completed", state)


@pytest.mark.case("D-STUCK-2")
async def test_a_run_whose_last_step_is_skipped_completes_with_null(lab: Lab) -> None:
    done = await lab.run(set_("a", value=1), set_("b", value=2, skip_if=True))
    assert (done.state, done.output) == ("completed", None)


@pytest.mark.case("D-STUCK-3")
async def test_a_run_whose_steps_are_all_skipped_completes(lab: Lab) -> None:
    done = await lab.run(*(set_(name, value=1, skip_if=True) for name in "abc"))
    assert (done.state, set(done.states.values())) == ("completed", {"canceled"})


@pytest.mark.case("A-11")
async def test_an_if_that_is_false_skips_and_dependents_run_and_it_may_read_the_context(lab: Lab) -> None:
    done = await lab.run(
        set_("runs", value=1, if_=True),
        set_("skipped", value=1, if_=False),
        set_("after", value="{steps.skipped}", depends_on="skipped"),
        set_("by_value", value="yes", if_="steps.runs == 1 && input.mode == 'full'"),
        input={"mode": "full"},
    )
    assert done.state == "completed"
    assert done.states == {"runs": "completed", "skipped": "canceled", "after": "completed", "by_value": "completed"}
    assert done.results["after"] is None
    assert done.output == "yes"


@pytest.mark.case("A-12")
async def test_a_chain_of_skipped_steps_always_completes(lab: Lab) -> None:
    steps = [
        set_("root", value=1, if_=False),
        set_("mid", value=2, depends_on="root", if_=False),
        set_("leaf", value=3, depends_on="mid"),
    ]
    async with lab.open(lab.workflow(*steps)) as engine:
        for _ in range(50):
            done = await lab.finish(engine, await engine.start("main"))
            assert (done.state, done.output) == ("completed", 3)


async def test_thousands_of_skipped_steps_do_not_overflow_the_stack() -> None:
    lab = Lab(FakeClock(), always_replay=False)
    steps = [set_(f"s{n}", value=n, if_=False) for n in range(2 * sys.getrecursionlimit())]
    done = await lab.run(*steps)
    assert done.state == "completed"
