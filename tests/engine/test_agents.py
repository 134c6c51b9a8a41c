"""Two agents with a workflow of the same id in one store don't meet."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.config import UNNAMED, Config, load_config
from agentflow.definition.models import Workflow
from agentflow.engine import Answer, Engine, Run
from agentflow.errors import NotFoundError
from agentflow.steps import delay, set_, wait_for_event, wait_for_input
from agentflow.steps import workflow as sub
from agentflow.store.rows import RunQuery
from agentflow.testing.faults import doom
from tests.engine.hands import Gate
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio

ONE = {"key": "gpu", "limit": 1}


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@asynccontextmanager
async def _agent(lab: Lab, name: str, db: Path, *workflows: Workflow, **options: Any) -> AsyncGenerator[Engine]:
    """Open the engine of an agent."""
    async with lab.open(*workflows, store=db, config={"name": name}, **options) as engine:
        yield engine


def _says(text: str) -> Workflow:
    return Workflow(id="main", steps=(set_("said", value=text),))


async def test_an_idempotency_key_is_each_agents_own(lab: Lab, db: Path) -> None:
    async with _agent(lab, "one", db, _says("one")) as one, _agent(lab, "two", db, _says("two")) as two:
        runs = [await engine.start("main", idempotency_key="k") for engine in (one, two)]
        outputs = [(await engine.wait(run.id)).output for engine, run in zip((one, two), runs, strict=True)]
        again = [(await engine.start("main", idempotency_key="k")).id for engine in (one, two)]
    assert outputs == ["one", "two"]
    assert again == [run.id for run in runs]
    assert runs[0].id != runs[1].id


async def test_a_list_is_of_one_agent_where_that_is_asked(lab: Lab, db: Path) -> None:
    async with _agent(lab, "one", db, _says("one")) as one, _agent(lab, "two", db, _says("two")) as two:
        for engine in (one, two):
            await engine.start("main")
        assert [run.agent for run in await one.list(RunQuery(agent="two"))] == ["two"]
        assert {run.agent for run in await one.list()} == {"one", "two"}


async def test_who_answers_for_another_agent_goes_on_with_nothing(lab: Lab, db: Path) -> None:
    """Its own agent does, which knows none of the other's workflows, also where a template names one."""
    kid = Workflow(id="kid", steps=(set_("said", value="two's"),))
    ask = wait_for_input("ask", message="Which?", schema={"type": "string"})
    flow = Workflow(id="main", steps=(ask, sub("call", workflow="{steps.ask}")))
    async with _agent(lab, "one", db, flow) as one:
        run = await one.wait((await one.start("main")).id)
    async with _agent(lab, "two", db, flow, kid) as two:
        assert not await two.adopt(run.id)
        answered = await two.resume(run.id, Answer("kid"))
        await two.host.takeover.claim()
        await two.core.idle()
        assert (answered.state, (await two.get(run.id)).holder) == ("completed", None)
        assert [row.kind for _, row in await two.store.inbox()] == ["answer"]
        async with _agent(lab, "one", db, flow) as one:
            ended = await lab.finish(one, run)
    ended.failed(code="AF-WORKFLOW-UNKNOWN")


async def test_an_event_reaches_its_owners_runs_whichever_agent_they_are_of(lab: Lab, db: Path) -> None:
    flow = Workflow(id="main", steps=(wait_for_event("pay", topic="paid"), set_("said", value="{steps.pay.n}")))
    async with _agent(lab, "one", db, flow) as one, _agent(lab, "two", db, flow) as two:
        runs = [await engine.start("main") for engine in (one, two)]
        for engine, run in zip((one, two), runs, strict=True):
            await lab.finish(engine, run)
        assert await two.publish("paid", {"n": 7}) == 2
        for engine, run in zip((one, two), runs, strict=True):
            await until(engine, run.id, "run_completed")
            assert (await engine.get(run.id)).output == 7


async def test_a_run_is_retried_by_no_other_agents_definition(lab: Lab, db: Path) -> None:
    """Another one's door may ask for the retry; it is left to the run's agent."""
    async with _agent(lab, "one", db, _says("one")) as one:
        run = await one.wait((await one.start("main")).id)
    async with _agent(lab, "two", db, _says("two")) as two:
        with pytest.raises(NotFoundError, match='"one"') as caught:
            await two.retry(run.id, "said", new_definition=True)
        assert caught.value.code == "AF-WORKFLOW-UNKNOWN"
        again = await two.retry(run.id, "said")
        assert isinstance(again, Run)
        await two.host.takeover.claim()
        await two.core.idle()
        assert ((await two.get(again.id)).state, again.agent, again.holder) == ("submitted", "one", None)
    async with _agent(lab, "one", db, _says("another")) as one:
        assert (await lab.finish(one, again)).output == "one"


async def test_a_timer_fires_only_where_its_agent_is(lab: Lab, db: Path) -> None:
    flow = Workflow(id="main", steps=(delay("rest", for_="1h"), set_("said", value="rested")))
    async with _agent(lab, "one", db, flow, host="none") as one:
        run = await one.start("main")
    async with _agent(lab, "one", db, flow, host="own") as one:
        assert await one.adopt(run.id)
        await until(one, run.id, "step_started", "rest")
        await one.core.idle()
        doom(one)
    lab.clock.advance(7200)
    async with _agent(lab, "two", db, _says("two")) as two:
        await two.host.takeover.claim()
        await two.core.idle()
        assert [timer.kind for _, timer in await two.store.due(lab.clock.now())] == ["timer"]
        assert await two.store.next_due(None, two.core.loader.holders, two.core.env.agents) is None
        async with _agent(lab, "one", db, flow) as one:
            assert (await lab.finish(one, run)).output == "rested"


async def test_a_dead_hosts_run_is_taken_by_a_host_of_its_agent_and_by_no_other(
    lab: Lab, db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A host of another agent says so when it begins."""
    gate = Gate("one's")
    flow = lab.workflow(lab.call("a", gate))
    async with _agent(lab, "one", db, flow) as one:
        run = await one.start("main")
        await gate.inside()
        doom(one)
    gate.open()
    with caplog.at_level(logging.WARNING, "agentflow"):
        async with _agent(lab, "two", db, _says("two")) as two:
            await lab.finish(two, await two.start("main"))
            await two.host.takeover.claim()
            await two.core.idle()
            assert (await two.get(run.id)).state == "working"
    assert (gate.entered, '1 run of agent "one" left alone: this host is one of agent "two"' in caplog.text) == (
        1,
        True,
    )
    async with _agent(lab, "one", db, flow) as one:
        assert ((await lab.finish(one, run)).output, gate.entered) == ("one's", 2)


@pytest.mark.parametrize("host", ["all", "own"])
async def test_a_key_comes_free_that_a_dead_host_of_another_agent_has(lab: Lab, db: Path, host: str) -> None:
    """The keys are the store's. Nothing of the other agent's run is executed for that: it asks for the key again."""
    gate = Gate("one's")
    flow, quick = lab.workflow(lab.call("a", gate, concurrency=ONE)), lab.workflow(set_("a", value=1, concurrency=ONE))
    async with _agent(lab, "one", db, flow) as one:
        run = await one.start("main")
        await gate.inside()
        doom(one)
    async with _agent(lab, "two", db, quick, host=host) as two:
        mine = await two.start("main")
        with anyio.fail_after(LIMIT):
            await two.host.takeover.claim()
            assert (await two.wait(mine.id)).state == "completed"
        assert (gate.entered, (await two.get(run.id)).state) == (1, "working")
    gate.open()
    async with _agent(lab, "one", db, flow) as one:
        assert ((await lab.finish(one, run)).output, gate.entered) == ("one's", 2)


async def test_a_run_of_nobody_known_is_anybodys(lab: Lab, db: Path) -> None:
    """As older versions kept them."""
    async with _agent(lab, "one", db, _says("old"), host="none") as old:
        old.core.env.agent = ""
        run = await old.start("main")
    async with _agent(lab, "two", db, _says("two")) as two:
        assert (await lab.finish(two, run)).output == "old"


async def test_runs_of_a_config_without_a_name_go_on_whatever_its_folder_is_called(tmp_path: Path) -> None:
    """A file in another folder, of another name, and a config made in Python serve the same unnamed agent."""
    db, folders = tmp_path / "runs.db", [tmp_path / "before", tmp_path / "after"]
    text = "workflows: {main: {steps: [{id: ask, type: wait_for_input, message: ok?}, {id: s, type: set, value: 1}]}}"
    for folder in folders:
        folder.mkdir()
        (folder / "agentflow.yaml").write_text(text, encoding="utf-8")
    configs: list[Config] = [*(load_config(folder) for folder in folders), Config()]
    assert ([config.name for config in configs[:2]], {config.agent for config in configs}) == (
        ["before", "after"], {UNNAMED},
    )  # fmt: skip
    async with Engine.open(db, config=configs[0]) as engine:
        runs = [await engine.wait((await engine.start("main")).id) for _ in configs[1:]]
    for config, run in zip(configs[1:], runs, strict=True):
        async with Engine.open(db, config=config, host="own") as engine:
            assert await engine.adopt(run.id)
            await engine.resume(run.id, Answer("yes"))
            with anyio.fail_after(LIMIT):
                assert (await engine.wait(run.id)).output == 1
