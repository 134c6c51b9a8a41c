"""Two agents with a workflow of the same id in one store don't meet."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.config import config_from
from agentflow.engine import Answer, Engine, Run
from agentflow.errors import NotFoundError
from agentflow.steps import Workflow, set_, wait_for_input
from agentflow.steps import workflow as sub
from agentflow.store.rows import RunQuery

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def _agent(name: str, path: Path, *workflows: Workflow) -> AsyncGenerator[Engine]:
    """Open the engine of an agent, which executes what it starts or is told to."""
    config = replace(config_from(workflows), name=name)
    async with Engine.open(path, config=config, host="own") as engine:
        yield engine


def _says(text: str) -> Workflow:
    return Workflow(id="main", steps=(set_("said", value=text),))


async def test_an_idempotency_key_is_each_agents_own(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with _agent("one", path, _says("one")) as one, _agent("two", path, _says("two")) as two:
        runs = [await engine.start("main", idempotency_key="k") for engine in (one, two)]
        outputs = [(await engine.wait(run.id)).output for engine, run in zip((one, two), runs, strict=True)]
        again = [(await engine.start("main", idempotency_key="k")).id for engine in (one, two)]
    assert outputs == ["one", "two"]
    assert again == [run.id for run in runs]
    assert runs[0].id != runs[1].id


async def test_a_list_is_of_one_agent_where_that_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with _agent("one", path, _says("one")) as one, _agent("two", path, _says("two")) as two:
        for engine in (one, two):
            await engine.start("main")
        assert [run.agent for run in await one.list(RunQuery(agent="two"))] == ["two"]
        assert {run.agent for run in await one.list()} == {"one", "two"}


async def test_a_sub_workflow_named_by_a_template_is_never_another_agents(tmp_path: Path) -> None:
    path, kid = tmp_path / "runs.db", Workflow(id="kid", steps=(set_("said", value="two's"),))
    ask = wait_for_input("ask", message="Which?", schema={"type": "string"})
    flow = Workflow(id="main", steps=(ask, sub("call", workflow="{steps.ask}")))
    async with _agent("one", path, flow) as one:
        run = await one.wait((await one.start("main")).id)
    async with _agent("two", path, flow, kid) as two:
        assert await two.adopt(run.id)
        await two.resume(run.id, Answer("kid"))
        ended = await two.wait(run.id)
    assert (ended.state, ended.failure.code if ended.failure else None) == ("failed", "AF-WORKFLOW-UNKNOWN")


async def test_a_run_is_retried_by_no_other_agents_definition(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with _agent("one", path, _says("one")) as one:
        run = await one.wait((await one.start("main")).id)
    async with _agent("two", path, _says("two")) as two:
        with pytest.raises(NotFoundError, match='"one"') as caught:
            await two.retry(run.id, "said", new_definition=True)
        assert caught.value.code == "AF-WORKFLOW-UNKNOWN"
        again = await two.retry(run.id, "said")
        assert isinstance(again, Run)
        assert ((await two.wait(again.id)).output, again.agent) == ("one", "one")
