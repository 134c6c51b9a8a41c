"""A server that dies, and two on one database: tasks go on, answers count once, nobody waits for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import TaskNotFoundError, UnsupportedOperationError

from tests.surface_a2a.served import (
    MODES,
    WORKFLOWS,
    Server,
    official,
    output,
    plain,
    request,
    send,
    state,
    until_held,
    waits,
)
from tests.surface_a2a.test_serving import ENV, TOKENS

pytestmark = pytest.mark.anyio
Serve = Callable[..., Server]
TIME = 60


async def test_after_kill_9_a_working_task_finishes_and_its_subscription_ends(serve: Serve) -> None:
    with anyio.fail_after(TIME):
        first = serve()
        async with official(first.url) as client:
            running = await send(client, request({}, skill="held", returns=True))
            await until_held(first)
        first.kill()
        second = serve()
        events: list[Any] = []
        async with official(second.url, streaming=True) as client:
            async for event in client.subscribe(pb.SubscribeToTaskRequest(id=running.id)):
                events.append(plain(event))
                (second.folder / "go").touch()
        assert events[0]["task"]["id"] == running.id
        assert events[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_after_kill_9_a_question_is_answered_with_the_task_id_alone(serve: Serve) -> None:
    """And by its owner alone, whose it still is."""
    mode, config = MODES[1], WORKFLOWS + TOKENS
    with anyio.fail_after(TIME):
        first = serve(config=config, env=ENV)
        async with official(first.url, mode, token="of ann") as client:
            asked = await send(client, request("x", skill="twice"))
            answer = request("one", taskId=asked.id)
            await send(client, answer)
        first.kill()
        second = serve(config=config, env=ENV)
        async with official(second.url, mode, token="of bob") as other:
            for call in (other.get_task(pb.GetTaskRequest(id=asked.id)), send(other, request("two", taskId=asked.id))):
                with pytest.raises(TaskNotFoundError):
                    await call
        async with official(second.url, mode, token="of ann") as client:
            again = await send(client, answer)
            assert [wait["step"] for wait in waits(again)] == ["second"]
            ended = await send(client, request("two", taskId=asked.id))
            assert (state(ended), output(ended), ended.context_id) == ("completed", "one, two", asked.context_id)
            assert [part.text for message in ended.history for part in message.parts] == ["x", "one", "two"]


async def test_two_servers_on_one_database_see_one_truth(serve: Serve) -> None:
    """Sent on one, subscribed on the other, answered on the other, cancelled on the first."""
    with anyio.fail_after(TIME):
        a, b = serve(), serve()
        async with (
            official(a.url) as on_a,
            official(b.url) as on_b,
            official(b.url, streaming=True) as listener,
        ):
            asked = await send(on_a, request("x", skill="twice"))
            seen: list[str] = []
            begun = anyio.Event()

            async def listen() -> None:
                async for event in listener.subscribe(pb.SubscribeToTaskRequest(id=asked.id)):
                    told = plain(event)
                    status = told.get("task", told.get("statusUpdate", {})).get("status")
                    if status is not None:
                        seen.append(status["state"].removeprefix("TASK_STATE_"))
                    begun.set()

            async with anyio.create_task_group() as group:
                group.start_soon(listen)
                await begun.wait()
                half = await send(on_b, request("one", taskId=asked.id))
                assert [wait["step"] for wait in waits(half)] == ["second"]
                open_now = await on_a.get_task(pb.GetTaskRequest(id=asked.id))
                assert waits(open_now) == waits(half)
                assert state(await on_a.cancel_task(pb.CancelTaskRequest(id=asked.id))) == "canceled"
            assert seen[-1] == "CANCELED"
            assert state(await on_b.get_task(pb.GetTaskRequest(id=asked.id))) == "canceled"


async def test_of_two_answers_through_two_servers_one_counts(serve: Serve) -> None:
    with anyio.fail_after(TIME):
        a, b = serve(), serve()
        async with official(a.url) as on_a, official(b.url) as on_b:
            asked = await send(on_a, request("x", skill="twice"))
            first = waits(asked)[0]["taskId"]
            taken: list[str] = []

            async def answer(client: Any, word: str) -> None:
                try:
                    await send(client, request(word, taskId=first))
                except UnsupportedOperationError:
                    return
                taken.append(word)

            async with anyio.create_task_group() as group:
                group.start_soon(answer, on_a, "of a")
                group.start_soon(answer, on_b, "of b")
            assert len(taken) == 1
            ended = await send(on_b, request("end", taskId=asked.id))
            assert output(ended) == f"{taken[0]}, end"


async def test_a_client_that_leaves_while_a_task_works_loses_nothing(serve: Serve) -> None:
    with anyio.fail_after(TIME):
        server = serve()
        task_id = ""
        async with official(server.url, streaming=True) as client:
            async for event in client.send_message(request({}, skill="held")):
                task_id = event.task.id
                break
        await until_held(server)
        (server.folder / "go").touch()
        async with official(server.url) as client:
            ended = await client.get_task(pb.GetTaskRequest(id=task_id))
            while state(ended) == "working":
                ended = await client.get_task(pb.GetTaskRequest(id=task_id))
            assert output(ended) == "held"
