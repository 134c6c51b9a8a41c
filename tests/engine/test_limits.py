"""Sizes that the config limits, and other settings of the config that reach the steps."""

from __future__ import annotations

import pytest

from agentflow import config_from
from agentflow.definition.models import Defaults, RetryPolicy, Step, Workflow
from agentflow.engine import Answer, Engine, Run
from agentflow.errors import DefinitionError, InputError
from agentflow.steps import python as python_step
from agentflow.steps import sequence, set_, wait_for_input
from agentflow.testing import FakeClock

pytestmark = pytest.mark.anyio
LIMITS = {"result_size": 100, "input_size": 100, "event_size": 50}
BIG = "x" * 200


async def _run(*steps: Step, **fields: object) -> Run:
    workflow = Workflow.model_validate({"id": "w", "steps": steps, **fields})
    async with Engine.open(":memory:", config=config_from([workflow], limits=LIMITS), clock=FakeClock()) as engine:
        run = await engine.start("w")
        return await engine.wait(run.id)


async def test_a_result_over_the_limit_fails_its_step() -> None:
    run = await _run(set_("a", value=BIG))
    assert run.failure is not None
    assert (run.failure.code, run.failure.step) == ("AF-RESULT-TOO-LARGE", "a")


async def test_an_input_an_answer_and_an_event_over_the_limit_are_refused() -> None:
    workflow = Workflow(id="w", steps=[wait_for_input("ask", message="?")])
    async with Engine.open(":memory:", config=config_from([workflow], limits=LIMITS), clock=FakeClock()) as engine:
        with pytest.raises(InputError) as refused:
            await engine.start("w", {"text": BIG})
        assert refused.value.code == "AF-INPUT-TOO-LARGE"
        run = await engine.wait((await engine.start("w")).id)
        with pytest.raises(InputError) as refused:
            await engine.resume(run.id, Answer(BIG))
        assert refused.value.code == "AF-WAIT-TOO-LARGE"
        assert (await engine.get(run.id)).state == "input-required"
        with pytest.raises(InputError) as refused:
            await engine.publish("topic", BIG)
        assert refused.value.code == "AF-EVENT-TOO-LARGE"


async def test_doubled_braces_are_literal_ones_also_where_no_reference_stands_beside_them() -> None:
    run = await _run(set_("a", value="{{input.x}} and {b}"))
    assert run.output == "{input.x} and {b}"


async def test_a_default_retry_counts_for_the_steps_and_not_once_more_for_their_container() -> None:
    calls: list[int] = []

    async def fails() -> None:
        calls.append(1)
        raise ValueError("no")

    workflow = Workflow(
        id="w",
        steps=[sequence("box", steps=[python_step("a", function="t:fails")])],
        defaults=Defaults(retry=RetryPolicy(max_attempts=3)),
    )
    functions = {"t:fails": fails}
    config = config_from([workflow], skills=["native:python"])
    async with Engine.open(":memory:", config=config, functions=functions, clock=FakeClock()) as engine:
        run = await engine.wait((await engine.start("w")).id)
    assert (run.state, len(calls)) == ("failed", 3)


def test_network_rules_that_mean_nothing_are_told_as_a_mistake_of_the_config() -> None:
    with pytest.raises(DefinitionError) as refused:
        config_from([], skills={"native:network": {"foo": 1}})
    assert "native:network" in refused.value.what
