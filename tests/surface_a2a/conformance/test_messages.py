"""Messages: what they start, what they go on with, what they are answered with."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.surface_a2a.conformance.wire import Wire, message, state, words

pytestmark = pytest.mark.anyio


@pytest.mark.a2a("SEND-1", "SEND-6", "SEND-7", "DATA-1", "DATA-5", "STATE-5")
async def test_a_message_is_answered_by_its_task_when_it_has_ended(wire: Wire) -> None:
    task = (await wire.send("text")).task
    assert state(task) == "COMPLETED"
    artifacts = {each["artifactId"]: each for each in task["artifacts"]}
    assert artifacts["words"]["parts"] == [{"text": "Some text"}]
    assert artifacts["words"]["name"] == "words"
    assert len(artifacts) == len(task["artifacts"])


@pytest.mark.a2a("SEND-5", "SEND-1", "CTX-1", "DATA-6")
async def test_a_simple_question_is_answered_by_a_message_alone(wire: Wire) -> None:
    result = (await wire.send("message")).result
    assert set(result) == {"message"}
    told = result["message"]
    assert told["parts"] == [{"text": "Hello, and no task"}]
    assert (told["role"], "taskId" in told) == ("ROLE_AGENT", False)
    assert told["messageId"]
    assert told["contextId"]


@pytest.mark.a2a("SEND-6", "STATE-4", "DATA-6")
async def test_it_answers_when_the_task_waits(wire: Wire) -> None:
    task = (await wire.send("input")).task
    assert (state(task), words(task["status"])) == ("INPUT_REQUIRED", "Which year?")
    said = task["status"]["message"]
    assert (said["role"], bool(said["messageId"]), said["taskId"]) == ("ROLE_AGENT", True, task["id"])


@pytest.mark.a2a("SEND-8")
async def test_with_return_immediately_it_answers_as_soon_as_there_is_a_task(wire: Wire) -> None:
    task = (await wire.send("long", configuration={"returnImmediately": True})).task
    assert state(task) in ("SUBMITTED", "WORKING")
    await wire.call("CancelTask", {"id": task["id"]})


@pytest.mark.a2a("DATA-2", "DATA-3", "DATA-4")
@pytest.mark.parametrize(
    ("behaviour", "part"),
    [
        ("data", {"data": {"key": "value", "count": 42, "list": [1, None]}}),
        ("url", {"url": "https://example.com/output.txt", "mediaType": "text/plain", "filename": "output.txt"}),
        ("bytes", {"raw": "dGNr", "mediaType": "text/plain", "filename": "output.txt"}),
    ],
)
async def test_artifacts_of_each_kind_are_given(wire: Wire, behaviour: str, part: Any) -> None:
    [artifact] = (await wire.send(behaviour)).task["artifacts"]
    assert artifact["parts"] == [part]


@pytest.mark.a2a("SEND-2", "STATE-1", "ERR-5")
@pytest.mark.parametrize(("behaviour", "end"), [("text", "COMPLETED"), ("reject", "REJECTED"), ("fail", "FAILED")])
async def test_what_has_ended_takes_no_message(wire: Wire, behaviour: str, end: str) -> None:
    task = (await wire.send(behaviour)).task
    assert state(task) == end
    (await wire.send("text", taskId=task["id"])).refused("UNSUPPORTED_OPERATION")
    after = (await wire.call("GetTask", {"id": task["id"]})).result
    assert after == task


@pytest.mark.a2a("STATE-2", "STATE-3")
async def test_who_rejects_or_fails_says_why(wire: Wire) -> None:
    assert words((await wire.send("reject")).task["status"]) == "Not that"
    assert words((await wire.send("fail")).task["status"]) == "It broke"


@pytest.mark.a2a("SEND-3", "ERR-6", "ERR-13")
@pytest.mark.parametrize(
    "part", [{"raw": "dGNr", "mediaType": "application/x-unheard-of"}, {"text": "x", "mediaType": "image/png"}]
)
async def test_a_media_type_that_is_not_taken_is_refused(wire: Wire, part: Any) -> None:
    wrong = await wire.call("SendMessage", {"message": message("text", parts=[part])})
    assert wrong.refused("CONTENT_TYPE_NOT_SUPPORTED")["message"]


@pytest.mark.a2a("SEND-4", "TURN-2", "ERR-2")
async def test_a_task_that_a_client_made_up_is_not_found(wire: Wire) -> None:
    (await wire.send("text", taskId="mine")).refused("TASK_NOT_FOUND")
    (await wire.send("text", taskId="mine", contextId="ours")).refused("TASK_NOT_FOUND")


@pytest.mark.a2a("SEND-12", "JSON-6", "JSON-7", "ERR-9", "ERR-12")
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"messageId": ""}, "message.messageId"),
        ({"role": "ROLE_UNSPECIFIED"}, "message.role"),
        ({"parts": []}, "message.parts"),
        ({"role": "ROLE_AGENT"}, "message.role"),
    ],
)
async def test_a_message_without_what_it_must_have_is_refused_by_the_field(wire: Wire, fields: Any, field: str) -> None:
    wrong = await wire.call("SendMessage", {"message": {**message("text"), **fields}})
    assert field in wrong.fields()


@pytest.mark.a2a("SEND-12", "JSON-6")
async def test_a_request_without_a_message_is_refused(wire: Wire) -> None:
    assert (await wire.call("SendMessage", {})).fields() == ["message"]


@pytest.mark.a2a("SEND-13")
async def test_a_part_without_content_is_refused(wire: Wire) -> None:
    wrong = await wire.call("SendMessage", {"message": message("text", parts=[{"mediaType": "text/plain"}])})
    assert wrong.fields() == ["message.parts[0]"]


@pytest.mark.a2a("CTX-1", "CTX-2", "CTX-4", "TURN-1")
async def test_a_context_is_made_or_kept_and_each_task_in_it_is_new(wire: Wire) -> None:
    made = (await wire.send("text")).task
    assert made["contextId"]
    first, second = [(await wire.send("text", contextId=made["contextId"])).task for _ in range(2)]
    assert {each["contextId"] for each in (first, second)} == {made["contextId"]}
    assert len({each["id"] for each in (made, first, second)}) == 3
    mine = (await wire.send("text", contextId="my own context/ä")).task
    assert mine["contextId"] == "my own context/ä"


@pytest.mark.a2a("TURN-3", "TURN-4", "TURN-5", "CTX-3")
async def test_a_turn_goes_on_by_the_task_alone_and_never_with_another_context(wire: Wire) -> None:
    asked = (await wire.send("input")).task
    assert "message.contextId" in (await wire.send("x", "2026", taskId=asked["id"], contextId="other")).fields()
    ended = (await wire.send("x", "2026", taskId=asked["id"])).task
    assert (state(ended), ended["id"], ended["contextId"]) == ("COMPLETED", asked["id"], asked["contextId"])
    assert {"text": "The year 2026"} in [part for each in ended["artifacts"] for part in each["parts"]]


@pytest.mark.a2a("TURN-5")
async def test_a_turn_goes_on_by_the_task_and_its_context(wire: Wire) -> None:
    asked = (await wire.send("twice")).task
    again = (await wire.send("x", "one", taskId=asked["id"], contextId=asked["contextId"])).task
    assert (state(again), words(again["status"])) == ("INPUT_REQUIRED", "Second?")
    ended = (await wire.send("x", "two", taskId=asked["id"], contextId=asked["contextId"])).task
    assert state(ended) == "COMPLETED"


@pytest.mark.a2a("TURN-7", "ERR-13")
async def test_an_answer_that_does_not_fit_leaves_the_task_open(wire: Wire) -> None:
    asked = (await wire.send("input")).task
    for wrong in ("soon", "1066"):
        still = (await wire.send("x", wrong, taskId=asked["id"])).task
        assert (state(still), "doesn't fit" in words(still["status"])) == ("INPUT_REQUIRED", True)
    assert state((await wire.send("x", "2026", taskId=asked["id"])).task) == "COMPLETED"


@pytest.mark.a2a("SEND-11")
async def test_an_answer_that_is_sent_again_answers_nothing_else(wire: Wire) -> None:
    asked = (await wire.send("twice")).task
    answer = message("x", "one", taskId=asked["id"])
    for _ in range(2):
        again = (await wire.call("SendMessage", {"message": answer})).task
        assert words(again["status"]) == "Second?"


@pytest.mark.a2a("TURN-6", "HIST-6", "EXT-5")
async def test_a_message_is_kept_as_it_was_sent(wire: Wire) -> None:
    earlier = (await wire.send("text")).task
    sent = message(
        "text",
        parts=[{"text": "ä\n"}, {"data": {"n": [1, 2.5, None, True]}, "mediaType": "application/json"}],
        referenceTaskIds=[earlier["id"]],
        metadata={"urn:mine": {"place": "here"}},
        extensions=["urn:mine"],
    )
    task = (await wire.call("SendMessage", {"message": sent})).task
    assert task["history"][0] == {**sent, "taskId": task["id"], "contextId": task["contextId"]}


@pytest.mark.a2a("DATA-2")
async def test_whole_numbers_are_written_as_such(wire: Wire) -> None:
    task = (await wire.send("data", metadata={"n": 7})).task
    for answer in (
        await wire.send("data", metadata={"n": 7}),
        await wire.call("GetTask", {"id": task["id"]}),
        await wire.call("ListTasks", {"contextId": task["contextId"], "includeArtifacts": True, "historyLength": 1}),
    ):
        text = answer.http.text.replace(" ", "")
        assert '"count":42,' in text
        assert '"n":7}' in text
        assert '"generation":' in text
        assert not re.search(r'"generation":\d+\.', text)
