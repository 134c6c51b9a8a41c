"""Native skills: a step that lacks one fails and says which; everything else goes on as the policy says."""

from __future__ import annotations

import pytest

from agentflow.errors import InputError
from agentflow.steps import native, script, set_
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio

NETWORK = {"skills": ["native:network"]}
SHELL = {"skills": ["native:shell"]}


@pytest.mark.case("D-REQ-4", "D-REQ-7", "D-EV-3")
async def test_a_step_that_lacks_a_skill_fails_unexecuted_and_what_follows_stays_pending(lab: Lab) -> None:
    done = await lab.run(set_("needy", value=1, requires=[native("shell")]), set_("after", value=2), options=NETWORK)
    assert done.state == "failed"
    assert done.states == {"needy": "failed", "after": "submitted"}
    assert done.errors["needy"].message == "Missing skills: native:shell"
    assert done.run.failure is not None
    assert done.run.failure.step == "needy"
    assert not done.steps_of("step_started")
    assert not done.steps_of("step_completed")
    assert done.steps_of("step_failed") == ["needy"]


@pytest.mark.case("D-REQ-4")
async def test_a_type_that_needs_a_skill_needs_no_words_for_it(lab: Lab) -> None:
    done = await lab.run(script("s", command="true"), options=NETWORK)
    assert (done.state, done.errors["s"].message) == ("failed", "Missing skills: native:shell")


@pytest.mark.case("D-REQ-5")
async def test_a_step_whose_requirement_is_met_executes(lab: Lab) -> None:
    done = await lab.run(script("s", command="echo", args=["hi"], requires=[native("shell")]), options=SHELL)
    assert (done.state, done.output) == ("completed", {"output": "hi"})


@pytest.mark.case("D-REQ-6")
async def test_of_two_parallel_steps_only_the_one_whose_requirement_is_met_runs(lab: Lab) -> None:
    done = await lab.run(
        set_("met", value=1, execution="parallel", requires=[native("network")]),
        set_("unmet", value=1, execution="parallel", requires=[native("shell")]),
        options=NETWORK,
        on_error_siblings="continue",
    )
    assert (done.state, done.states) == ("failed", {"met": "completed", "unmet": "failed"})
    assert done.steps_of("step_started") == ["met"]


@pytest.mark.case("D-REQ-7")
async def test_a_run_whose_only_step_lacks_a_skill_fails(lab: Lab) -> None:
    done = await lab.run(set_("needy", value=1, requires=[native("shell")]), options=NETWORK)
    assert done.state == "failed"


@pytest.mark.case("D-REQ-8")
async def test_a_step_without_requirements_runs_anywhere_and_the_config_lists_what_it_grants(lab: Lab) -> None:
    async with lab.open(lab.workflow(set_("a", value=1)), skills=[]) as engine:
        assert list(engine.config.skills) == []
        assert (await lab.finish(engine, await engine.start("main"))).state == "completed"
    async with lab.open(lab.workflow(set_("a", value=1)), skills=["native:network", "native:shell"]) as engine:
        assert list(engine.config.skills) == ["native:network", "native:shell"]


async def test_a_strict_workflow_refuses_to_start_and_names_what_is_missing(lab: Lab) -> None:
    workflow = lab.workflow(set_("a", value=1, requires=[native("shell")]), preflight="strict")
    async with lab.open(workflow, skills=[]) as engine:
        with pytest.raises(InputError, match="Missing skills: native:shell"):
            await engine.start("main")
        assert not await engine.list()
