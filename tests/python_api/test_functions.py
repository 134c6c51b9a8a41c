"""Functions stand where steps stand, and decide for steps that hold others."""

from __future__ import annotations

from typing import Any

import pytest

import agentflow
from agentflow import Workflow
from agentflow.errors import DefinitionError
from agentflow.steps import condition, for_each, parallel, python, set_, switch, until
from tests.python_api.functions import double, enough, greeting, is_big, kind, numbers, score

pytestmark = pytest.mark.anyio


async def test_a_decorated_function_is_a_step_without_any_config_and_stays_a_function() -> None:
    flow = Workflow(id="w", input={"n": "integer"}, steps=[score.step(input={"amount": "{input.n}"})])
    assert flow.steps[0].retry is not None
    assert flow.steps[0].retry.max_attempts == 3
    assert (await agentflow.run(flow, {"n": 4})).output == 8
    assert score(3) == 6
    assert score.__doc__ == "Score an amount."


async def test_a_bare_function_stands_for_a_step_and_gets_its_context() -> None:
    flow = Workflow(id="w", input={"name": "string"}, steps=[greeting])
    assert (await agentflow.run(flow, {"name": "Ada"})).output == "hello Ada"
    alone = Workflow(id="w", steps=numbers)
    assert (await agentflow.run(alone)).output == [1, 2, 3]


async def test_a_loop_over_a_function_gives_the_list_of_what_it_gave() -> None:
    flow = Workflow(id="w", steps=[for_each("each", in_=numbers, steps=double, max_parallel=2)])
    assert [one.id for one in flow.steps] == ["each_decides", "each"]
    assert (await agentflow.run(flow)).output == [2, 4, 6]
    listed = Workflow(id="w", steps=[for_each("each", in_=[5], steps=double, item="one")])
    assert (await agentflow.run(listed)).output == [10]


@pytest.mark.parametrize(("n", "says"), [(5, "big"), (1, "small")])
async def test_a_function_decides_which_branch_runs(n: int, says: str) -> None:
    branches: Any = {"if_true": set_("yes", value="big"), "if_false": set_("no", value="small")}
    big = condition("big", expression=is_big, with_={"n": "{input.n}"}, **branches)
    flow = Workflow(id="w", input={"n": "integer"}, steps=[big])
    run = await agentflow.run(flow, {"n": n})
    assert run.output == says


@pytest.mark.parametrize(("n", "says"), [(5, "L"), (1, "S")])
async def test_a_function_or_a_reference_gives_the_value_that_names_the_case(n: int, says: str) -> None:
    cases = {"large": set_("l", value="L"), "small": set_("s", value="S")}
    by_function = Workflow(id="w", input={"n": "integer"}, steps=[switch("size", on=kind, cases=cases)])
    assert (await agentflow.run(by_function, {"n": n})).output == says
    numbered = switch("size", on="{input.n}", cases={5: set_("l", value="L")}, default=set_("s", value="S"))
    by_value = Workflow(id="w", input={"n": "integer"}, steps=[numbered])
    assert (await agentflow.run(by_value, {"n": n})).output == says


async def test_a_function_ends_a_loop_by_what_its_last_step_gave() -> None:
    loop = until("loop", condition=enough, steps=set_("count", values={"n": "{index}"}), max_iterations=9)
    run = await agentflow.run(
        Workflow(id="w", steps=[loop, set_("done", value="{steps.loop.iterations}")]), check=False
    )
    assert run.failure is None or "iterations" in run.failure.message
    assert loop.bodies["steps"].steps[-1].id == "loop_decides"


async def test_a_decision_inside_of_a_scope_runs_when_the_step_would() -> None:
    first = set_("first", value=9)
    big = condition(
        "big", expression=is_big, with_={"n": "{steps.first}"}, depends_on=first,
        if_true=set_("yes", value="big"), if_false=set_("no", value="small"),
    )  # fmt: skip
    flow = Workflow(id="w", steps=[parallel("all", steps=[first, big])])
    assert (await agentflow.run(flow)).output["big"] == "big"


async def test_what_decides_for_a_step_alone_in_a_branch_is_refused_with_what_to_write() -> None:
    inner = condition("inner", expression=numbers, if_true=set_("a", value=1))
    with pytest.raises(DefinitionError) as caught:
        condition("outer", expression="true", if_true=inner)
    assert str(caught.value) == (
        '"if_true" of step "outer" (condition) takes a list here, '
        'as the function that decides "inner" is a step of its own, "inner_decides"'
    )


async def test_a_function_in_a_step_is_granted_without_skills_or_modules() -> None:
    flow = Workflow(id="w", steps=[python("a", function=double, input={"n": 2})])
    assert (await agentflow.run(flow)).output == 4
