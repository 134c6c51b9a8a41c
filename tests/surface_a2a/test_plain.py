"""Requests in plain form are answered without the SDK; whatever looks otherwise means there what it meant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow_a2a.plain import Call, read, read_rest

MESSAGE = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}, {"data": {"n": 1.0, "f": 1.5, "e": 1e3}}]}


def call(method: str = "SendMessage", params: Any = None, **more: Any) -> bytes:
    """Return a request."""
    given = {"message": MESSAGE} if params is None else params
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": given, **more}).encode()


def changed(**fields: Any) -> bytes:
    """Return a request to send a message with other fields."""
    return call(params={"message": {**MESSAGE, **fields}})


def test_a_message_is_read_as_it_was_sent_whole_numbers_as_such() -> None:
    params = {
        "message": MESSAGE,
        "configuration": {"historyLength": 1, "returnImmediately": True},
        "metadata": {"a": 1},
    }
    found = read(call(params=params))
    assert found is not None
    assert found == Call(1, "SendMessage", params)
    numbers = found.params["message"]["parts"][1]["data"]
    assert [type(each) for each in numbers.values()] == [int, float, int]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("GetTask", {"id": "t"}),
        ("GetTask", {"id": "t", "historyLength": 0}),
        ("SubscribeToTask", {"id": "t"}),
        ("CancelTask", {"id": "t", "metadata": {"why": 1}}),
        ("ListTasks", {}),
        ("ListTasks", {"contextId": "c", "status": "TASK_STATE_WORKING", "pageSize": 9, "includeArtifacts": True}),
        ("ListTasks", {"statusTimestampAfter": "2026-01-31T12:00:00.5+01:00", "pageToken": "x", "historyLength": 1}),
        ("SendStreamingMessage", {"message": {**MESSAGE, "taskId": "t", "contextId": "c", "extensions": ["urn:x"]}}),
    ],
)
def test_what_is_asked_often_is_read(method: str, params: Any) -> None:
    assert read(call(method, params)) == Call(1, method, params)


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b'"x"', call("GetExtendedAgentCard", {}), call("message/send"), call(id=True),
        call(id=1.5), call(id=None), call(jsonrpc="1.0"), call(more=1), call(method="GetTask", params={}),
        call("GetTask", {"id": ""}), call("ListTasks", {"status": "FOO"}), call("ListTasks", {"pageSize": "9"}),
        call("ListTasks", {"statusTimestampAfter": "2026-13-01T00:00:00Z"}), call("CancelTask", {"id": 7}),
        call("GetTask", {"id": "t", "historyLength": "1"}), call("GetTask", {"id": "t", "historyLength": True}),
        call("GetTask", {"id": "t", "historyLength": 2**31}), call(params={"message": MESSAGE, "tenant": "x"}),
        call(params={"message": MESSAGE, "configuration": {"taskPushNotificationConfig": {"url": "http://x"}}}),
        call(params={"message": MESSAGE, "metadata": []}), changed(messageId=""), changed(message_id="m"),
        changed(role=1), changed(role="user"), changed(parts=[]), changed(parts=None), changed(contextId=""),
        changed(parts=[{"text": "x", "data": 1}]), changed(parts=[{"raw": "aGk="}]), changed(parts=[{"text": 1}]),
        changed(parts=[{"text": "x", "mediaType": None}]), changed(referenceTaskIds=[1]), changed(taskId=7),
        b'{"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "\\ud800"}}',
    ],
)  # fmt: skip
def test_what_has_another_form_is_left_to_the_sdk(body: bytes) -> None:
    assert read(body) is None


@pytest.mark.parametrize(
    ("asked", "method", "params"),
    [
        (("POST", "/message:send", b"", json.dumps({"message": MESSAGE}).encode()),
         "SendMessage", {"message": MESSAGE}),
        (("GET", "/tasks/t", b"historyLength=0", b""), "GetTask", {"id": "t", "historyLength": 0}),
        (("GET", "/tasks", b"", b""), "ListTasks", {}),
        (("GET", "/tasks", b"contextId=a%20b%2F&pageSize=9&includeArtifacts=false", b""),
         "ListTasks", {"contextId": "a b/", "pageSize": 9, "includeArtifacts": False}),
        (("POST", "/tasks/t:cancel", b"", b""), "CancelTask", {"id": "t"}),
        (("POST", "/tasks/t:cancel", b"", b'{"metadata": {"why": 1}}'),
         "CancelTask", {"id": "t", "metadata": {"why": 1}}),
        (("POST", "/tasks/t:subscribe", b"", b"{}"), "SubscribeToTask", {"id": "t"}),
        (("GET", "/tasks/t:subscribe", b"", b""), "SubscribeToTask", {"id": "t"}),
    ],
)  # fmt: skip
def test_a_path_and_its_query_say_what_is_asked(asked: tuple[str, str, bytes, bytes], method: str, params: Any) -> None:
    assert read_rest(*asked) == Call("", method, params)


@pytest.mark.parametrize(
    "asked",
    [
        ("POST", "/message:send", b"", b"[]"), ("POST", "/message:send", b"", b""), ("GET", "/message:send", b"", b""),
        ("POST", "/tasks", b"", b"{}"), ("PUT", "/tasks/t", b"", b""), ("GET", "/v1/tasks/t", b"", b""),
        ("GET", "/acme/tasks", b"", b""), ("GET", "/tasks/", b"", b""), ("GET", "/tasks/a/b", b"", b""),
        ("GET", "/tasks/t:cancel", b"", b""), ("POST", "/tasks/t:cancel", b"A2A-Version=1.0", b""),
        ("GET", "/tasks", b"pageSize=x", b""), ("GET", "/tasks", b"pageSize=1&pageSize=2", b""),
        ("GET", "/tasks", b"includeArtifacts=yes", b""), ("GET", "/tasks", b"colour=red", b""),
        ("GET", "/tasks", b"status=FOO", b""), ("GET", "/tasks", b"pageSize", b""),
        ("GET", "/tasks", b"contextId=", b""),
    ],
)  # fmt: skip
def test_paths_and_queries_of_another_form_are_left_to_the_sdk(asked: tuple[str, str, bytes, bytes]) -> None:
    assert read_rest(*asked) is None
