"""Values that fit grow by templates and containers until they don't: the step or the run that makes them so fails."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.definition.models import Step
from agentflow.engine import Answer, Run
from agentflow.steps import end, for_each, sequence, set_, wait_for_input, workflow
from agentflow.steps.contract import Context, Park, Wait
from tests.engine.hands import by_hand
from tests.engine.lab import Lab
from tests.values import nested

pytestmark = pytest.mark.anyio
GROWN = {"x": "{steps.a}"}
DEEP = "it is nested deeper than 100 levels"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def deep(lab: Lab, levels: int = 100) -> Step:
    return lab.call("a", lambda: nested(levels))


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (set_("b", value=GROWN), "AF-RESULT-INVALID"),
        (set_("b", value=1, with_={"w": GROWN}, if_="with.w != null"), "AF-FIELD-VALUE"),
        (set_("b", value=1, update={"k": GROWN}), "AF-RESULT-INVALID"),
        (for_each("b", in_=[GROWN], steps=[set_("c", value=1)]), "AF-FIELD-VALUE"),
        (workflow("b", workflow="child", input=GROWN), "AF-INPUT-INVALID"),
        (wait_for_input("b", message="m", default=GROWN, timeout="1h"), "AF-WAIT-INVALID"),
        (end("b", output=GROWN), "AF-OUTPUT-INVALID"),
    ],
    ids=lambda value: value.type if isinstance(value, Step) else value,
)
async def test_a_template_that_makes_a_value_too_deep_fails_its_step(lab: Lab, step: Step, code: str) -> None:
    main = lab.workflow(deep(lab), step, context={"k": {"default": [], "reducer": "last"}})
    async with lab.open(main, lab.workflow(set_("c", value=1), id="child")) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert (done.state, done.errors["b"].code) == ("failed", code)
    assert DEEP in done.errors["b"].message
    assert done.results["a"] == nested(100)


async def test_an_output_that_is_too_deep_fails_the_run_and_keeps_the_steps(lab: Lab) -> None:
    for fields in ({"output": GROWN}, {}):
        steps = [deep(lab)] if fields else [sequence("s", steps=[deep(lab)])]
        done = await lab.run(*steps, **fields)
        assert done.run.failure is not None
        assert (done.state, done.run.failure.code) == ("failed", "AF-OUTPUT-INVALID")
        assert DEEP in done.run.failure.message
        assert nested(100) in done.results.values()


async def test_the_result_of_a_container_may_be_deeper_than_what_is_stored(lab: Lab) -> None:
    inner = sequence("s", steps=[sequence("t", steps=[deep(lab)])])
    done = await lab.run(inner, set_("b", value="{steps.s.t.a[0]}"))
    assert (done.state, done.output) == ("completed", nested(99))


async def test_a_container_that_is_kept_by_a_retry_may_be_deeper_than_what_is_stored(lab: Lab) -> None:
    flow = lab.workflow(
        sequence("s", steps=[deep(lab)]), lab.call("f", lambda: 1 / 0), set_("b", value="{steps.s.a[0]}")
    )
    async with lab.open(flow) as engine:
        failed = await lab.finish(engine, await engine.start("main"))
        again = await engine.retry(failed.run.id)
        assert isinstance(again, Run)
        done = await lab.finish(engine, again)
    assert done.results["s/a"] == nested(100)


@pytest.mark.parametrize("given", ["abc", {"rm": "-rf"}, 1.5, None])
async def test_a_default_made_by_a_template_fits_the_waits_schema_or_its_step_fails(lab: Lab, given: Any) -> None:
    ask = wait_for_input("w", message="m", timeout="1h", default={"n": "{input.x}"}, schema=SCHEMA)
    done = await lab.run(ask, input={"x": given})
    assert (done.state, done.errors["w"].code) == ("failed", "AF-WAIT-INVALID")
    assert "step_waiting" not in done.kinds
    fine = await by_hand(lab).run(ask, input={"x": 3})
    assert (fine.state, fine.waits[0].default) == ("input-required", {"n": 3})


async def test_a_schema_made_by_a_template_is_one_that_answers_can_be_checked_by(lab: Lab) -> None:
    ask = wait_for_input("w", message="m", schema="{input.x}")  # pyright: ignore[reportArgumentType]  as it stands in YAML
    done = await lab.run(ask, input={"x": {"type": "nothing"}})
    assert (done.state, done.errors["w"].code) == ("failed", "AF-WAIT-INVALID")


async def test_a_default_of_a_steps_own_wait_fits_its_schema_too(lab: Lab) -> None:
    def ask(ctx: Context) -> Park:
        return Park(Wait("input", "m", schema=SCHEMA, default={"n": "x"}))

    done = await lab.run(lab.call("w", ask, on_error="continue"), set_("b", value=1))
    assert (done.state, done.reasons["w"], done.errors["w"].code) == ("completed", "tolerated", "AF-WAIT-INVALID")


async def test_the_deepest_answer_goes_through_inbox_and_rows(lab: Lab, tmp_path: Any) -> None:
    ask = lab.workflow(wait_for_input("w", message="m"), set_("b", value="{steps.w[0]}"))
    async with lab.open(ask, store=tmp_path / "runs.db") as engine:
        run = (await lab.finish(engine, await engine.start("main"))).run
    async with lab.open(ask, store=tmp_path / "runs.db", host="none") as engine:
        await engine.resume(run.id, Answer(nested(100)))
    async with lab.open(ask, store=tmp_path / "runs.db") as engine:
        done = await lab.finish(engine, await engine.get(run.id))
    assert (done.state, done.output) == ("completed", nested(99))
