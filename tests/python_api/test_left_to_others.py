"""A process that wasn't given a run's functions or agents leaves the run to one that was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow import Answer, Engine, Workflow, step
from agentflow.errors import AgentflowError
from agentflow.steps import agent_run, set_, wait_for_input

pytestmark = pytest.mark.anyio


@step
def send() -> str:
    return "sent"


def writer(prompt: str) -> str:
    return prompt.upper()


CALLS = Workflow(id="calls", steps=[wait_for_input("ask", message="Send?"), send])
ASKS = Workflow(id="asks", steps=[wait_for_input("ask", message="Write?"), agent_run("a", agent="writer", prompt="hi")])
NOTHING = Workflow(id="nothing", steps=[send, wait_for_input("ask", message="Done?"), set_("b", value=2)])


async def waiting(path: Path, flow: Workflow, **given: Any) -> str:
    async with Engine.open(path, workflows=[flow], **given) as engine:
        run = await engine.start(flow)
        assert (await engine.wait(run.id)).waiting
    return run.id


@pytest.mark.parametrize(
    ("flow", "given", "output", "said"),
    [
        (CALLS, {}, "sent", 'function "tests.python_api.test_left_to_others:send" isn\'t known in this one'),
        (ASKS, {"agents": {"writer": writer}}, {"output": "HI"}, 'agent "writer" isn\'t known in this one'),
    ],
)
async def test_an_answer_from_a_process_without_the_functions_is_kept_for_the_one_that_has_them(
    tmp_path: Path, flow: Workflow, given: Any, output: Any, said: str
) -> None:
    run = await waiting(tmp_path / "runs.db", flow, **given)
    async with Engine.open(tmp_path / "runs.db") as stranger:
        assert (await stranger.resume(run, Answer(True))).state == "completed"
        for look in (stranger.wait, stranger.adopt):
            with pytest.raises(AgentflowError, match="is left to another process") as caught:
                await look(run)
            assert said in caught.value.what
        assert not (await stranger.get(run)).ended
    async with Engine.open(tmp_path / "runs.db", workflows=[flow], **given) as engine:
        with anyio.fail_after(5):
            assert (await engine.wait(run)).output == output


async def test_a_process_that_waits_for_it_sees_the_other_one_go_on(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with Engine.open(path, workflows=[CALLS]) as engine, Engine.open(path) as stranger:
        run = await engine.start(CALLS)
        await engine.wait(run.id)
        await stranger.resume(run.id, Answer(True))
        with anyio.fail_after(5):
            assert (await stranger.wait(run.id)).output == "sent"


async def test_what_is_given_later_lets_it_go_on(tmp_path: Path) -> None:
    run = await waiting(tmp_path / "runs.db", CALLS)
    async with Engine.open(tmp_path / "runs.db") as engine:
        await engine.resume(run, Answer(True))
        await engine.start(CALLS)
        assert await engine.adopt(run)
        with anyio.fail_after(5):
            assert (await engine.wait(run)).output == "sent"


async def test_it_is_cancelled_by_whoever_wants_that(tmp_path: Path) -> None:
    run = await waiting(tmp_path / "runs.db", CALLS)
    async with Engine.open(tmp_path / "runs.db") as stranger:
        with pytest.raises(AgentflowError, match="is left to another process"):
            await stranger.adopt(run)
        await stranger.cancel(run)
        with anyio.fail_after(5):
            assert (await stranger.wait(run)).state == "canceled"


async def test_functions_of_steps_that_are_done_are_needed_no_more(tmp_path: Path) -> None:
    run = await waiting(tmp_path / "runs.db", NOTHING)
    async with Engine.open(tmp_path / "runs.db") as stranger:
        await stranger.resume(run, Answer(True))
        with anyio.fail_after(5):
            assert (await stranger.wait(run)).output == 2
