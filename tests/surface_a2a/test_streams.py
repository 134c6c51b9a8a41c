"""Streams and subscriptions: one order for everybody, from any change on, through waits, to the end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from a2a.client import Client
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import UnsupportedOperationError

from agentflow_a2a.told import TASKS
from tests.surface_a2a.served import (
    MODES,
    Mode,
    Server,
    generation,
    official,
    output,
    plain,
    request,
    send,
    state,
    waits,
)

pytestmark = pytest.mark.anyio
TIME = 60
REST = {"A2A-Version": "1.0", "Content-Type": "application/json"}


async def _subscribed(client: Client, task_id: str) -> list[Any]:
    return [plain(event) async for event in client.subscribe(pb.SubscribeToTaskRequest(id=task_id))]


def _states(events: list[Any]) -> list[str]:
    told = [event["statusUpdate"]["status"]["state"] for event in events if "statusUpdate" in event]
    return [each.removeprefix("TASK_STATE_").lower() for each in told]


def _changes(events: list[Any]) -> list[Any]:
    return [event for event in events if "task" not in event]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: f"{mode.binding}-{mode.version}")
async def test_a_stream_tells_the_task_then_its_changes_until_it_waits(server: Server, mode: Mode) -> None:
    with anyio.fail_after(TIME):
        async with official(server.url, mode, streaming=True) as client:
            events = [event async for event in client.send_message(request("x", skill="review"))]
            assert events[0].HasField("task")
            assert [part.text for part in events[0].task.history[0].parts] == ["x"]
            whole = [plain(event) for event in events]
            assert [next(iter(event)) for event in whole[1:]] == ["statusUpdate", "artifactUpdate", "statusUpdate"]
            assert _states(whole) == ["working", "input_required"]
            task_id = events[0].task.id
            more = [plain(each) async for each in client.send_message(request("approve", taskId=task_id))]
            assert "task" in more[0]
            if len(more) > 1:
                assert _states(more)[-1] == "completed"
                assert more[-2]["artifactUpdate"]["artifact"]["artifactId"] == "@output"
            else:
                assert more[0]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_subscriptions_live_through_waits_and_tell_all_the_same_in_one_order(server: Server) -> None:
    with anyio.fail_after(TIME):
        async with (
            official(server.url) as client,
            official(server.url, streaming=True) as rpc,
            official(server.url, MODES[1], streaming=True) as rest,
        ):
            asked = await send(client, request("x", skill="twice"))
            seen: dict[int, list[Any]] = {}

            async def listen(n: int, by: Client) -> None:
                seen[n] = []
                async for event in by.subscribe(pb.SubscribeToTaskRequest(id=asked.id)):
                    seen[n].append(plain(event))
                    if len(seen) == 6 and all(seen.values()):
                        begun.set()

            begun = anyio.Event()
            async with anyio.create_task_group() as group:
                for n in range(6):
                    group.start_soon(listen, n, rpc if n % 2 else rest)
                await begun.wait()
                await send(client, request("one", taskId=asked.id))
                await send(client, request("two", taskId=asked.id))
            first = _changes(seen[0])
            assert _states(first) == ["input_required", "completed"]
            assert all(_changes(events) == first for events in seen.values())
            numbers = [generation(each["statusUpdate"]) for each in first if "statusUpdate" in each]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_the_subscription_of_a_wait_ends_with_its_answer(server: Server) -> None:
    with anyio.fail_after(TIME):
        async with official(server.url) as client, official(server.url, streaming=True) as listener:
            asked = await send(client, request("x", skill="review"))
            wait = waits(asked)[0]["taskId"]
            events: list[Any] = []
            async for event in listener.subscribe(pb.SubscribeToTaskRequest(id=wait)):
                events.append(plain(event))
                if len(events) == 1:
                    await send(client, request("approve", taskId=wait))
            assert _states(events) == ["completed"]


async def test_what_has_ended_has_no_subscription(server: Server) -> None:
    async with official(server.url) as client, official(server.url, streaming=True) as listener:
        ended = await send(client, request("x", skill="echo"))
        with pytest.raises(UnsupportedOperationError):
            await _subscribed(listener, ended.id)


async def _sse(http: httpx.AsyncClient, url: str, after: int | None) -> AsyncIterator[tuple[int | None, Any]]:
    headers = {**REST, **({"Last-Event-ID": str(after)} if after is not None else {})}
    async with http.stream("POST", url, headers=headers, json={}) as response:
        assert response.status_code == 200
        number: int | None = None
        async for line in response.aiter_lines():
            if line.startswith("id:"):
                number = int(line[3:])
            elif line.startswith("data:"):
                yield number, json.loads(line[5:])


async def test_a_stream_goes_on_after_the_change_that_was_seen_last(server: Server) -> None:
    with anyio.fail_after(TIME):
        async with official(server.url) as client, httpx.AsyncClient(timeout=TIME) as http:
            asked = await send(client, request("x", skill="twice"))
            url = f"{server.url}/a2a/rest/tasks/{asked.id}:subscribe"
            whole: list[tuple[int | None, Any]] = []
            async for number, event in _sse(http, url, None):
                whole.append((number, event))
                if len(whole) == 1:
                    await send(client, request("one", taskId=asked.id))
                    await send(client, request("two", taskId=asked.id))
            numbers = [number for number, _ in whole]
            assert numbers[0] == generation(asked)
            assert len(whole) == 4
            for number in dict.fromkeys(numbers[:-1]):
                snapshot, *later = [each async for each in _sse(http, url, number)]
                assert "artifacts" not in snapshot[1]["task"]
                assert later == whole[numbers.index(number) + 1 :]


@pytest.mark.parametrize("count", [1, 40])
async def test_chunks_of_an_artifact_are_told_as_they_come_and_make_the_whole(server: Server, count: int) -> None:
    with anyio.fail_after(TIME):
        async with official(server.url, streaming=True) as client:
            text, last = "", list[bool]()
            task_id = ""
            async for event in client.send_message(request({"count": count}, skill="chunks")):
                if event.HasField("task"):
                    task_id = event.task.id
                    given = [each for each in event.task.artifacts if each.artifact_id == "book"]
                    text = "".join(part.text for each in given for part in each.parts)
                elif event.HasField("artifact_update") and event.artifact_update.artifact.artifact_id == "book":
                    told = event.artifact_update
                    said = "".join(part.text for part in told.artifact.parts)
                    text = text + said if told.append else said
                    last.append(told.last_chunk)
            assert text == "".join(f"page {n} " for n in range(count))
            assert last.count(True) <= 1
            task = await client.get_task(pb.GetTaskRequest(id=task_id))
            assert state(task) == "completed"
            [book] = [each for each in task.artifacts if each.artifact_id == "book"]
            assert "".join(part.text for part in book.parts) == text


async def test_who_cannot_set_headers_tells_in_metadata_what_was_seen_last(server: Server) -> None:
    with anyio.fail_after(TIME):
        async with official(server.url) as client, httpx.AsyncClient(timeout=TIME) as http:
            done = await send(client, request({"count": 5}, skill="chunks"))
            params = {"id": done.id, "metadata": {TASKS: {"after": 3}}}
            bodies = [
                ("/a2a", "SubscribeToTask", "1.0"),
                ("/a2a", "tasks/resubscribe", "0.3"),
                (f"/a2a/rest/tasks/{done.id}:subscribe", None, "1.0"),
            ]
            for path, method, version in bodies:
                whole = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                answer = await http.post(
                    server.url + path,
                    json=whole if method else {"metadata": params["metadata"]},
                    headers={"A2A-Version": version},
                )
                numbers = [int(line[3:]) for line in answer.text.splitlines() if line.startswith("id:")]
                assert numbers[0] == 3
                assert numbers[1:] == list(range(4, generation(done) + 1))


async def test_who_leaves_during_a_pause_keeps_nobody_from_answering(server: Server) -> None:
    with anyio.fail_after(TIME):
        async with official(server.url) as client:
            asked = await send(client, request("x", skill="twice"))
            for answer in ("one", "two"):
                async with official(server.url, streaming=True) as gone:
                    async for event in gone.subscribe(pb.SubscribeToTaskRequest(id=asked.id)):
                        assert state(event.task) == "input-required"
                        break
                told = await send(client, request(answer, taskId=asked.id))
            assert (state(told), output(told)) == ("completed", "one, two")
