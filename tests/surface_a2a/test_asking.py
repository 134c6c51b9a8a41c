"""`agent_run` asks an agent at another server: its results, questions, failures, and what it is told to stop."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from a2a.types import a2a_pb2 as pb

from agentflow.engine import Answer, Decline
from agentflow.errors import InputError
from agentflow_a2a.client.asking import DEEPEST
from agentflow_a2a.told import TASKS
from tests.surface_a2a.asking import asking, engine, error_of, until_asked
from tests.surface_a2a.foreign import foreign
from tests.surface_a2a.relay import relay
from tests.surface_a2a.served import Server, official, plain, request, send, state, until_held

pytestmark = pytest.mark.anyio
TIME = 60


def step(skill: str, **fields: str) -> str:
    """Return a step that asks for a skill of the served agent."""
    told = {"id": "ask", "type": "agent_run", "agent": skill, "input": "{text: x}", **fields}
    return "{" + ", ".join(f"{name}: {value}" for name, value in told.items()) + "}"


async def tasks(server: Server, context: str) -> list[pb.Task]:
    """Return the served tasks of a run that has asked."""
    async with official(server.url) as client:
        found = await client.list_tasks(pb.ListTasksRequest(context_id=context, history_length=10))
    return list(found.tasks)


async def test_what_a_remote_workflow_gives_is_the_steps_result(server: Server, tmp_path: Path) -> None:
    with anyio.fail_after(TIME):
        async with engine(tmp_path, asking(server.url, skill="echo")) as asker:
            run = await asker.wait((await asker.start("main")).id)
        assert run.output == {"text": "x"}
        (task,) = await tasks(server, run.id)
        assert (state(task), plain(task)["history"][0]["metadata"]["skillId"]) == ("completed", "echo")


async def test_what_a_remote_run_has_used_is_told_by_its_task_and_counted_here(server: Server, tmp_path: Path) -> None:
    (server.folder / "counted").touch()
    with anyio.fail_after(TIME):
        async with engine(tmp_path, asking(server.url, skill="counted")) as asker:
            run = await asker.wait((await asker.start("main")).id)
        assert (run.usage.cost, run.usage.input_tokens, run.usage.calls) == (Decimal("0.25"), 40, 1)
        (task,) = await tasks(server, run.id)
        told = plain(task)["metadata"][TASKS]["usage"]
        assert (told["cost"], told["input_tokens"], told["calls"]) == ("0.25", 40, 1)


async def test_a_remote_question_is_asked_here_and_its_answer_goes_back(server: Server, tmp_path: Path) -> None:
    """One that doesn't fit is refused here already: the question has the remote schema."""
    with anyio.fail_after(TIME):
        async with engine(tmp_path, asking(server.url, skill="review")) as asker:
            started = await asker.start("main")
            wait = await until_asked(asker, started.id)
            assert (wait.message, wait.details["agent"], wait.details["remote_step"]) == (
                "Publish x?",
                "desk",
                "decide",
            )
            with pytest.raises(InputError):
                await asker.resume(wait.id, Answer({"decision": "perhaps"}))
            await asker.resume(wait.id, Answer({"decision": "approve"}))
            run = await asker.wait(started.id)
            assert run.output == {"output": "approve"}
            told = [event.type async for event in asker.subscribe(started.id) if event.type == "artifact"]
            assert len(told) == 1
            ((artifact,),) = [
                await asker.store.artifacts(task.id) for task in (await asker.tasks()).tasks if task.kind == "agent"
            ]
            assert artifact["parts"] == [{"text": "Draft: x"}]


async def test_questions_that_follow_each_other_and_those_side_by_side_are_all_asked(
    server: Server, tmp_path: Path
) -> None:
    with anyio.fail_after(TIME):
        async with engine(tmp_path, asking(server.url, skill="twice")) as asker:
            started = await asker.start("main")
            for message, answer in (("First?", "one"), ("Second?", "two")):
                wait = await until_asked(asker, started.id)
                assert wait.message == message
                await asker.resume(wait.id, Answer(answer))
            assert (await asker.wait(started.id)).output == {"output": "one, two"}
        async with engine(tmp_path, asking(server.url, skill="side_by_side")) as asker:
            started = await asker.start("main")
            for message, answer in (("Left?", 1), ("Right?", 2)):
                wait = await until_asked(asker, started.id)
                assert wait.message == message
                await asker.resume(wait.id, Answer(answer))
            assert (await asker.wait(started.id)).output == {"left": 1, "right": 2}


@pytest.mark.parametrize("how", ["cancel", "decline"])
async def test_a_cancel_and_a_decline_here_end_the_remote_task(server: Server, tmp_path: Path, how: str) -> None:
    with anyio.fail_after(TIME):
        async with engine(tmp_path, asking(server.url, skill="twice")) as asker:
            started = await asker.start("main")
            wait = await until_asked(asker, started.id)
            if how == "cancel":
                await asker.cancel(started.id)
            else:
                await asker.resume(wait.id, Decline("no"))
            run = await asker.wait(started.id)
            assert run.state == ("canceled" if how == "cancel" else "failed")
            await asker.core.withdrawing.settled()
        assert {state(task) for task in await tasks(server, run.id)} == {"canceled"}


async def test_a_cancel_here_ends_a_remote_task_that_works(server: Server, tmp_path: Path) -> None:
    (server.folder / "holding").unlink(missing_ok=True)
    with anyio.fail_after(TIME):
        async with engine(tmp_path, asking(server.url, skill="held")) as asker:
            started = await asker.start("main")
            await until_held(server)
            await asker.cancel(started.id)
            await asker.wait(started.id)
            await asker.core.withdrawing.settled()
        assert [state(task) for task in await tasks(server, started.id)] == ["canceled"]


@pytest.mark.parametrize(
    ("skill", "code"), [("gone", "AF-AGENT-FAILED"), ("refuses", "AF-AGENT-REJECTED"), ("nothing", "AF-AGENT-REFUSED")]
)
async def test_how_a_remote_task_fails_is_told(server: Server, tmp_path: Path, skill: str, code: str) -> None:
    with anyio.fail_after(TIME):
        async with engine(tmp_path, asking(server.url, skill=skill)) as asker:
            error = error_of(await asker.wait((await asker.start("main")).id))
        assert error["code"] == code
        assert error["why"]


async def test_a_task_that_is_cancelled_remotely_fails_the_step(server: Server, tmp_path: Path) -> None:
    with anyio.fail_after(TIME):
        async with engine(tmp_path, asking(server.url, skill="long")) as asker:
            started = await asker.start("main")
            found: list[Any] = []
            while not found:
                found = await tasks(server, started.id)
            async with official(server.url) as client:
                await client.cancel_task(pb.CancelTaskRequest(id=found[0].id))
            assert error_of(await asker.wait(started.id))["code"] == "AF-AGENT-CANCELED"


async def test_a_chain_of_agents_that_is_too_long_is_ended_before_the_next_is_asked(tmp_path: Path) -> None:
    deep: dict[str, Any] = {"messageId": "m", "role": "user", "parts": [], "metadata": {TASKS: {"depth": DEEPEST}}}
    with anyio.fail_after(TIME):
        async with foreign("1.0") as (url, clerk), engine(tmp_path, asking(url)) as asker:
            run = await asker.wait((await asker.start("main", message=deep)).id)
            assert (error_of(run)["code"], clerk.said) == ("AF-AGENT-DEPTH", [])


async def test_an_agent_that_is_away_for_a_while_fails_nothing(tmp_path: Path) -> None:
    """Its stream is cut, and for a moment nobody takes connections."""
    asks = "{id: ask, type: agent_run, agent: desk, prompt: hold}"
    with anyio.fail_after(TIME):
        async with relay() as wire, foreign("1.0", wire=wire) as (url, clerk):
            there = clerk.url
            async with engine(tmp_path, asking(url, step=asks)) as asker:
                started = await asker.start("main")
                async for event in asker.subscribe(started.id):
                    if event.type == "artifact":
                        break
                wire.cut()
                clerk.go.set()
                await wire.refused.wait()
                wire.to(there)
                run = await asker.wait(started.id)
                assert (run.output, clerk.said) == ({"output": "0 1 2"}, ["hold"])


async def test_a_remote_reply_is_the_result(server: Server, tmp_path: Path) -> None:
    asks = "{id: ask, type: agent_run, agent: desk, prompt: hello}"
    with anyio.fail_after(TIME):
        async with engine(tmp_path, asking(server.url, skill="chat", step=asks)) as asker:
            assert (await asker.wait((await asker.start("main")).id)).output == {"output": "hello to you"}


async def test_remote_progress_is_the_steps(server: Server, tmp_path: Path) -> None:
    (server.folder / "counted").touch()
    with anyio.fail_after(TIME):
        async with engine(tmp_path, asking(server.url, skill="counted")) as asker:
            run = await asker.wait((await asker.start("main")).id)
            events = [event async for event in asker.subscribe(run.id)]
    told = [event.data for event in events if event.type == "step_progress"]
    assert {"fraction": 0.75, "message": "75%"} in told


async def test_a_step_that_runs_out_of_time_ends_its_remote_task(server: Server, tmp_path: Path) -> None:
    asks = "{id: ask, type: agent_run, agent: desk, timeout: 2s}"
    with anyio.fail_after(TIME):
        async with engine(tmp_path, asking(server.url, skill="long", step=asks)) as asker:
            run = await asker.wait((await asker.start("main")).id)
            assert error_of(run)["code"] == "AF-TIMEOUT"
            await asker.core.withdrawing.settled()
        assert [state(task) for task in await tasks(server, run.id)] == ["canceled"]


async def test_an_answer_that_comes_too_late_is_dropped(server: Server, tmp_path: Path) -> None:
    """Somebody has answered at the other server meanwhile."""
    with anyio.fail_after(TIME):
        async with engine(tmp_path, asking(server.url, skill="review")) as asker:
            started = await asker.start("main")
            wait = await until_asked(asker, started.id)
            async with official(server.url) as there:
                await send(there, request({"decision": "reject"}, taskId=wait.details["remote_task"]))
            await asker.resume(wait.id, Answer({"decision": "approve"}))
            assert (await asker.wait(started.id)).output == {"output": "reject"}


async def test_chunks_of_a_remote_artifact_are_handed_on_as_they_come(server: Server, tmp_path: Path) -> None:
    asks = "{id: ask, type: agent_run, agent: desk, input: {count: 5}}"
    with anyio.fail_after(TIME):
        async with engine(tmp_path, asking(server.url, skill="chunks", step=asks)) as asker:
            run = await asker.wait((await asker.start("main")).id)
            assert run.output == {"output": "done"}
            (turn,) = [task for task in (await asker.tasks()).tasks if task.kind == "agent"]
            (artifact,) = await asker.store.artifacts(turn.id)
        assert "".join(part["text"] for part in artifact["parts"]) == "".join(f"page {n} " for n in range(5))
