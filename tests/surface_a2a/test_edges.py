"""What is wrong with a request is told in the protocol's words, on each transport."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.surface_a2a.served import Server

pytestmark = pytest.mark.anyio
HELLO = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}], "metadata": {"skillId": "echo"}}
V1 = {"A2A-Version": "1.0"}


async def _rpc(
    server: Server, method: str, params: Any, headers: dict[str, str] | None = None, path: str = "/a2a"
) -> Any:
    call = {"jsonrpc": "2.0", "id": "x", "method": method, "params": params}
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{server.url}{path}", json=call, headers=V1 if headers is None else headers)
    told = answer.json()
    assert (told["id"], answer.status_code) == ("x", 200)
    return told


async def _rest(
    server: Server, method: str, path: str, *, json: Any = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.request(method, f"{server.url}/a2a/rest{path}", json=json, headers=headers or V1)


ERRORS: list[tuple[str, Any, int, str]] = [
    ("GetTask", {"id": "nobody"}, -32001, "TASK_NOT_FOUND"),
    ("CancelTask", {"id": "nobody"}, -32001, "TASK_NOT_FOUND"),
    ("SendMessage", {"message": {**HELLO, "taskId": "nobody"}}, -32001, "TASK_NOT_FOUND"),
    ("SendMessage", {"message": {**HELLO, "parts": []}}, -32602, "INVALID_PARAMS"),
    ("SendMessage", {"message": {**HELLO, "messageId": ""}}, -32602, "INVALID_PARAMS"),
    ("SendMessage", {"message": {**HELLO, "role": "ROLE_AGENT"}}, -32602, "INVALID_PARAMS"),
    ("SendMessage", {"message": {**HELLO, "metadata": {"skillId": "ecco"}}}, -32602, "INVALID_PARAMS"),
    ("SendMessage", {"message": {**HELLO, "parts": [{"data": {"txt": 1}}]}}, -32602, "INVALID_PARAMS"),
    ("SendMessage", {}, -32602, "INVALID_PARAMS"),
    ("GetTask", {"id": "nobody", "historyLength": -1}, -32602, "INVALID_PARAMS"),
    ("ListTasks", {"status": "TASK_STATE_FOO"}, -32602, "INVALID_PARAMS"),
    (
        "SendMessage",
        {"message": {**HELLO, "parts": [{"raw": "aGk=", "mediaType": "image/png"}]}},
        -32005,
        "CONTENT_TYPE_NOT_SUPPORTED",
    ),
    (
        "SendMessage",
        {"message": HELLO, "configuration": {"taskPushNotificationConfig": {"url": "http://127.0.0.1:1/"}}},
        -32602,
        "INVALID_PARAMS",
    ),
    ("CreateTaskPushNotificationConfig", {"taskId": "t", "url": "http://x"}, -32001, "TASK_NOT_FOUND"),
    ("GetTaskPushNotificationConfig", {"taskId": "t", "id": "c"}, -32001, "TASK_NOT_FOUND"),
    ("ListTaskPushNotificationConfigs", {"taskId": "t"}, -32001, "TASK_NOT_FOUND"),
    ("DeleteTaskPushNotificationConfig", {"taskId": "t", "id": "c"}, -32001, "TASK_NOT_FOUND"),
    ("GetExtendedAgentCard", {}, -32004, "UNSUPPORTED_OPERATION"),
    ("SubscribeToTask", {"id": "nobody"}, -32001, "TASK_NOT_FOUND"),
]


@pytest.mark.parametrize(("method", "params", "code", "reason"), ERRORS, ids=lambda value: str(value)[:60])
async def test_errors_have_the_codes_of_the_protocol(
    server: Server, method: str, params: Any, code: int, reason: str
) -> None:
    error = (await _rpc(server, method, params))["error"]
    assert error["code"] == code
    info = error["data"][0]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert (info["reason"], info["domain"]) == (reason, "a2a-protocol.org")
    if code == -32602:
        assert error["data"][1]["fieldViolations"]


async def test_errors_of_http_have_a_status_and_details(server: Server) -> None:
    for answer, status, reason in (
        (await _rest(server, "GET", "/tasks/nobody"), 404, "TASK_NOT_FOUND"),
        (await _rest(server, "POST", "/tasks/nobody:cancel", json={}), 404, "TASK_NOT_FOUND"),
        (await _rest(server, "GET", "/tasks/nobody:subscribe"), 404, "TASK_NOT_FOUND"),
        (await _rest(server, "GET", "/tasks?status=TASK_STATE_FOO"), 400, "INVALID_PARAMS"),
        (await _rest(server, "GET", "/tasks?pageSize=0"), 400, "INVALID_PARAMS"),
        (await _rest(server, "GET", "/extendedAgentCard"), 400, "UNSUPPORTED_OPERATION"),
    ):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["details"][0]["reason"]) == (status, status, reason)
        assert answer.headers["content-type"].startswith("application/")


@pytest.mark.parametrize("version", ["1.7", "2.0", "0.2", "nonsense"])
async def test_a_version_that_is_not_spoken_is_refused(server: Server, version: str) -> None:
    headers = {"A2A-Version": version}
    assert (await _rpc(server, "GetTask", {"id": "x"}, headers))["error"]["code"] == -32009
    refused = await _rest(server, "GET", "/tasks", headers=headers)
    assert refused.json()["error"]["details"][0]["reason"] == "VERSION_NOT_SUPPORTED"
    by_query = await _rpc(server, "GetTask", {"id": "x"}, {}, f"/a2a?A2A-Version={version}")
    assert by_query["error"]["code"] == -32009


async def test_the_version_may_stand_in_the_query_and_have_a_patch(server: Server) -> None:
    for headers, path in (({}, "/a2a?A2A-Version=1.0"), ({"A2A-Version": "1.0.1"}, "/a2a"), (V1, "/a2a/")):
        told = await _rpc(server, "SendMessage", {"message": HELLO}, headers, path)
        assert told["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_without_a_version_only_the_old_protocol_is_spoken(server: Server) -> None:
    assert (await _rpc(server, "SendMessage", {"message": HELLO}, {}))["error"]["code"] == -32009
    message = {"messageId": "m", "role": "user", "kind": "message", "parts": [{"kind": "text", "text": "/hello"}]}
    old = await _rpc(server, "message/send", {"message": {**message, "metadata": {"skillId": "echo"}}}, {})
    assert (old["result"]["kind"], old["result"]["status"]["state"]) == ("task", "completed")


async def test_what_is_no_request_is_refused(server: Server) -> None:
    deep = '{"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": ' + "[" * 2000 + "]" * 2000 + "}"
    nameless = json.dumps({"jsonrpc": "2.0", "method": "ListTasks", "params": {}})
    media = {**V1, "Content-Type": "application/json"}
    async with httpx.AsyncClient() as http:

        async def told(content: str, headers: dict[str, str] = media) -> tuple[int, int]:
            answer = await http.post(f"{server.url}/a2a", content=content, headers=headers)
            return answer.status_code, answer.json()["error"]["code"]

        assert await told("{") == (200, -32700)
        assert await told("[]") == (200, -32600)
        assert await told(deep) == (200, -32600)
        assert await told(nameless) == (200, -32600)
        assert await told(nameless, {**V1, "Content-Type": "text/plain"}) == (415, -32005)
        assert await told(" " * 9_000_000) == (413, -32600)
        plain = await http.post(f"{server.url}/a2a/rest/message:send", content="x", headers=V1)
        assert (plain.status_code, plain.json()["error"]["details"][0]["reason"]) == (415, "CONTENT_TYPE_NOT_SUPPORTED")


UNREADABLE = [b'{"a": "\xff"}', b'{"a": ' + b"9" * 5000 + b"}"]


@pytest.mark.parametrize("body", UNREADABLE, ids=["bytes", "number"])
async def test_what_is_no_json_is_its_callers_fault_and_says_nothing_of_ours(server: Server, body: bytes) -> None:
    media = {**V1, "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=server.url) as http:
        by_rpc = (await http.post("/a2a", content=body, headers=media)).json()
        by_rest = await http.post("/a2a/rest/message:send", content=body, headers=media)
    assert (by_rpc["id"], by_rpc["error"]["code"]) == (None, -32700)
    assert (by_rest.status_code, by_rest.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert "sys." not in str(by_rpc) + by_rest.text


@pytest.mark.parametrize(
    "call",
    [
        {"jsonrpc": "2.0", "method": "GetTask", "params": {"id": "x"}},
        {"jsonrpc": "2.0", "method": "GetTask", "params": {"id": "x"}, "id": "\ud800"},
    ],
    ids=["none", "half a pair"],
)
async def test_a_call_whose_id_no_answer_could_repeat_is_refused(server: Server, call: dict[str, Any]) -> None:
    media = {**V1, "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=server.url) as http:
        told = (await http.post("/a2a", content=json.dumps(call), headers=media)).json()
        unspoken = (await http.post("/a2a", content=json.dumps(call), headers={**media, "A2A-Version": "9.0"})).json()
    assert (told["id"], told["error"]["code"]) == (None, -32600)
    assert (unspoken["id"], unspoken["error"]["code"]) == (None, -32009)


async def test_brackets_in_texts_are_no_depth(server: Server) -> None:
    message = {**HELLO, "parts": [{"text": "[" * 500 + '"'}]}
    assert "result" in await _rpc(server, "SendMessage", {"message": message})


async def test_an_extension_that_is_asked_for_is_confirmed(server: Server) -> None:
    headers = {**V1, "A2A-Extensions": "urn:other, urn:agentflow:a2a:tasks:v1"}
    answer = await _rest(server, "GET", "/tasks", headers=headers)
    assert answer.headers["a2a-extensions"] == "urn:agentflow:a2a:tasks:v1"
    assert "a2a-extensions" not in (await _rest(server, "GET", "/tasks")).headers


async def test_the_card_names_the_skills_and_both_protocols(server: Server) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{server.url}/.well-known/agent-card.json")
        again = await http.get(answer.url, headers={"If-None-Match": answer.headers["etag"]})
    card = answer.json()
    assert (card["name"], card["capabilities"]["streaming"], card["capabilities"]["pushNotifications"]) == (
        "desk", True, True,
    )  # fmt: skip
    assert {skill["id"] for skill in card["skills"]} >= {"echo", "review"}
    assert (card["url"], card["preferredTransport"]) == (f"{server.url}/a2a", "JSONRPC")
    assert card["protocolVersion"].startswith("0.3")
    assert again.status_code == 304


async def test_whole_numbers_stay_whole(server: Server) -> None:
    told = await _rpc(server, "SendMessage", {"message": {**HELLO, "parts": [{"data": {"text": "x"}}]}})
    assert told["result"]["task"]["artifacts"][0]["parts"][0]["data"] == {"text": "x"}
    started = await _rpc(
        server,
        "SendMessage",
        {"message": {**HELLO, "metadata": {"skillId": "chunks"}, "parts": [{"data": {"count": 1}}]}},
    )
    assert started["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_request_with_an_idempotency_key_starts_once_and_a_message_id_is_none(server: Server) -> None:
    keyed = {**V1, "Idempotency-Key": "k1"}
    first, again, other = [
        (await _rpc(server, "SendMessage", {"message": HELLO}, headers))["result"]["task"]["id"]
        for headers in (keyed, keyed, V1)
    ]
    assert (again == first, other == first) == (True, False)
    by_metadata = {"message": HELLO, "metadata": {"urn:agentflow:a2a:tasks:v1": {"idempotencyKey": "k1"}}}
    assert (await _rpc(server, "SendMessage", by_metadata))["result"]["task"]["id"] == first
    changed = {"message": {**HELLO, "parts": [{"text": "something else"}]}}
    assert (await _rpc(server, "SendMessage", changed, keyed))["error"]["code"] == -32004
