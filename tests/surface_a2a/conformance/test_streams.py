"""Streams: what they tell, in which order, how long."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.surface_a2a.conformance.wire import Json, Wire, message, state, words

pytestmark = pytest.mark.anyio
TIME = 60


def _states(events: list[Json]) -> list[str]:
    found: list[str] = []
    for event in events:
        [content] = event.values()
        if "status" in content:
            found.append(state(content))
    return found


def _open(wire: Wire, behaviour: str, **fields: Any) -> Any:
    return wire.open("SendStreamingMessage", {"message": message(behaviour, **fields)})


@pytest.mark.a2a("STREAM-1", "SEND-5")
async def test_a_message_is_the_only_event_of_its_stream(wire: Wire) -> None:
    async with _open(wire, "message") as stream:
        [event] = await stream.rest()
    assert event["message"]["parts"] == [{"text": "Hello, and no task"}]


@pytest.mark.a2a("STREAM-2", "STREAM-3", "STREAM-6", "STREAM-7", "STREAM-9", "ORDER-1")
async def test_a_stream_tells_the_task_then_its_changes_until_its_end(wire: Wire) -> None:
    async with _open(wire, "text") as stream:
        events = await stream.rest()
    task = events[0]["task"]
    assert [next(iter(event)) for event in events[1:]].count("artifactUpdate") == 1
    assert _states(events)[-1] == "COMPLETED"
    assert "COMPLETED" not in _states(events)[:-1]
    assert next(iter(events[-1])) == "statusUpdate"
    for event in events[1:]:
        [content] = event.values()
        assert (content["taskId"], content["contextId"]) == (task["id"], task["contextId"])
    [given] = [event["artifactUpdate"]["artifact"] for event in events if "artifactUpdate" in event]
    assert (given["artifactId"], given["parts"]) == ("words", [{"text": "Some text"}])


@pytest.mark.a2a("STREAM-8", "ORDER-1")
async def test_chunks_come_in_their_order_and_make_the_whole(wire: Wire) -> None:
    async with _open(wire, "chunks") as stream:
        events = await stream.rest()
    updates = [event["artifactUpdate"] for event in events if "artifactUpdate" in event]
    assert [each["artifact"]["artifactId"] for each in updates] == ["book"] * 3
    assert [bool(each.get("append")) for each in updates] == [False, True, True]
    assert [bool(each.get("lastChunk")) for each in updates] == [False, False, True]
    assert "".join(each["artifact"]["parts"][0]["text"] for each in updates) == "one two three"
    whole = (await wire.call("GetTask", {"id": events[0]["task"]["id"]})).result["artifacts"]
    assert "".join(part["text"] for part in whole[0]["parts"]) == "one two three"


@pytest.mark.a2a("STREAM-3", "STREAM-4")
@pytest.mark.parametrize(
    ("behaviour", "last"), [("reject", "REJECTED"), ("fail", "FAILED"), ("input", "INPUT_REQUIRED")]
)
async def test_a_stream_ends_with_what_it_comes_to(wire: Wire, behaviour: str, last: str) -> None:
    with anyio.fail_after(TIME):
        async with _open(wire, behaviour) as stream:
            assert _states(await stream.rest())[-1] == last


@pytest.mark.a2a("STREAM-10", "STREAM-6")
async def test_the_first_event_comes_while_the_task_works(wire: Wire) -> None:
    with anyio.fail_after(TIME):
        async with _open(wire, "long") as stream:
            first = await anext(stream.events)
            task = (await wire.call("GetTask", {"id": first["task"]["id"]})).result
            assert state(task) == "WORKING"
            await wire.call("CancelTask", {"id": task["id"]})
            assert _states(await stream.rest())[-1] == "CANCELED"


@pytest.mark.a2a("STREAM-6", "STREAM-10")
async def test_an_artifact_is_told_while_the_task_goes_on(wire: Wire) -> None:
    with anyio.fail_after(TIME):
        async with _open(wire, "begins") as stream:
            events: list[Json] = []
            async for event in stream.events:
                events.append(event)
                if "artifactUpdate" in event:
                    await wire.call("CancelTask", {"id": events[0]["task"]["id"]})
    assert [event["artifactUpdate"]["artifact"]["parts"] for event in events if "artifactUpdate" in event] == [
        [{"text": "So far"}]
    ]
    assert _states(events)[-1] == "CANCELED"


@pytest.mark.a2a("STREAM-5", "RPC-3", "REST-4")
async def test_a_stream_that_cannot_be_is_refused_as_any_request(wire: Wire) -> None:
    ended = (await wire.send("text")).task
    wrong: list[tuple[Json, str]] = [
        ({"taskId": "nobody"}, "TASK_NOT_FOUND"),
        ({"taskId": ended["id"]}, "UNSUPPORTED_OPERATION"),
        ({"parts": [{"raw": "dGNr", "mediaType": "application/x-unheard-of"}]}, "CONTENT_TYPE_NOT_SUPPORTED"),
        ({"parts": []}, "INVALID_PARAMS"),
    ]
    for fields, reason in wrong:
        async with _open(wire, "text", **fields) as stream:
            stream.answer.refused(reason)


@pytest.mark.a2a("STREAM-4", "TURN-5")
async def test_each_turn_has_a_stream_of_its_own(wire: Wire) -> None:
    with anyio.fail_after(TIME):
        async with _open(wire, "twice") as stream:
            events = await stream.rest()
        task_id = events[0]["task"]["id"]
        async with _open(wire, "x", taskId=task_id) as stream:
            events = await stream.rest()
            assert next(iter(events[0])) == "task"
            assert words(next(iter(events[-1].values()))["status"]) == "Second?"
        async with _open(wire, "x", taskId=task_id) as stream:
            assert _states(await stream.rest())[-1] == "COMPLETED"


@pytest.mark.a2a("SUB-1", "SUB-2", "SUB-5", "BIND-1", "ORDER-4")
async def test_a_subscription_goes_on_through_a_wait_to_the_end_of_another_turn(wire: Wire, rpc: Wire) -> None:
    with anyio.fail_after(TIME):
        asked = (await rpc.send("step-by-step")).task
        async with wire.open("SubscribeToTask", {"id": asked["id"]}) as stream:
            first = await anext(stream.events)
            assert first == {"task": (await wire.call("GetTask", {"id": asked["id"]})).result}
            assert state(first["task"]) == "INPUT_REQUIRED"
            await rpc.send("x", "yes", taskId=asked["id"])
            events = await stream.rest()
        assert _states(events)[-1] == "COMPLETED"
        told = [event["artifactUpdate"]["artifact"] for event in events if "artifactUpdate" in event]
        assert [(each["artifactId"], each["parts"]) for each in told][:1] == [("after", [{"text": "After yes"}])]


@pytest.mark.a2a("SUB-3", "SUB-4")
@pytest.mark.parametrize("behaviour", ["text", "reject", "fail"])
async def test_what_has_ended_or_never_was_has_no_subscription(wire: Wire, behaviour: str) -> None:
    ended = (await wire.send(behaviour)).task
    for task_id, reason in ((ended["id"], "UNSUPPORTED_OPERATION"), ("nobody", "TASK_NOT_FOUND")):
        async with wire.open("SubscribeToTask", {"id": task_id}) as stream:
            stream.answer.refused(reason)


@pytest.mark.a2a("SUB-2")
async def test_a_subscription_ends_when_the_task_is_cancelled(wire: Wire) -> None:
    with anyio.fail_after(TIME):
        task = (await wire.send("long", configuration={"returnImmediately": True})).task
        async with wire.open("SubscribeToTask", {"id": task["id"]}) as stream:
            await anext(stream.events)
            await wire.call("CancelTask", {"id": task["id"]})
            assert _states(await stream.rest())[-1] == "CANCELED"


@pytest.mark.a2a("ORDER-2", "ORDER-3", "ORDER-4")
async def test_all_streams_tell_the_same_and_one_that_is_closed_ends_no_other(rpc: Wire, rest: Wire) -> None:
    with anyio.fail_after(TIME):
        asked = (await rpc.send("step-by-step")).task
        told: list[list[Json]] = [[] for _ in range(4)]
        ready = [anyio.Event() for _ in told]

        async def follow(n: int, wire: Wire) -> None:
            async with wire.open("SubscribeToTask", {"id": asked["id"]}) as stream:
                async for event in stream.events:
                    told[n].append(event)
                    ready[n].set()

        async with anyio.create_task_group() as group:
            async with rest.open("SubscribeToTask", {"id": asked["id"]}) as stream:
                await anext(stream.events)
            for n in range(len(told)):
                group.start_soon(follow, n, (rpc, rest)[n % 2])
            for each in ready:
                await each.wait()
            assert state((await rpc.send("x", "yes", taskId=asked["id"])).task) == "COMPLETED"
        assert _states(told[0])[-1] == "COMPLETED"
        assert all(each == told[0] for each in told)
        task = (await rest.call("GetTask", {"id": asked["id"]})).result
        assert state(task) == "COMPLETED"


@pytest.mark.a2a("SUB-6")
async def test_http_takes_a_subscription_as_get_too(rest: Wire) -> None:
    with anyio.fail_after(TIME):
        asked = (await rest.send("input")).task
        url = f"{rest.base}/a2a/rest/tasks/{asked['id']}:subscribe"
        async with rest.http.stream("GET", url, headers=rest.headers) as answer:
            assert answer.status_code == 200
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    assert asked["id"] in line
                    break
