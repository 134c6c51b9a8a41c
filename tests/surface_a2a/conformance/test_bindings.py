"""What is peculiar to a binding: envelopes, paths, media types, versions, extensions, limits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow_a2a.told import TASKS
from tests.surface_a2a.conformance.wire import VERSION, Json, Wire, message, state

pytestmark = pytest.mark.anyio
JSON_TYPE = {**VERSION, "Content-Type": "application/json"}
OLD: Json = {"messageId": "text-old", "role": "user", "kind": "message", "parts": [{"kind": "text", "text": "hi"}]}


async def _posted(rpc: Wire, content: str | bytes, headers: dict[str, str] = JSON_TYPE) -> tuple[int, Any]:
    answer = await rpc.http.post(f"{rpc.base}/a2a", content=content, headers=headers)
    return answer.status_code, answer.json()


def _call(method: Any, params: Any, **fields: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **fields})


@pytest.mark.a2a("RPC-1", "RPC-2", "RPC-7")
@pytest.mark.parametrize("name", ["a text", 7, 0, "", -1])
async def test_an_answer_has_the_id_of_its_request(rpc: Wire, name: str | int) -> None:
    status, told = await _posted(rpc, _call("ListTasks", {"pageSize": 1}, id=name))
    assert (status, told["jsonrpc"], told["id"], set(told)) == (200, "2.0", name, {"jsonrpc", "id", "result"})


@pytest.mark.a2a("RPC-4", "RPC-5", "RPC-6", "RPC-9")
@pytest.mark.parametrize(
    ("content", "code", "name"),
    [
        ("{", -32700, None),
        ("", -32700, None),
        (b"\xff\xfe", -32700, None),
        ("[]", -32600, None),
        ('"SendMessage"', -32600, None),
        (_call("ListTasks", {}, jsonrpc="1.0"), -32600, 1),
        (_call(7, {}), -32600, 1),
        (_call("ListTasks", {}, id={}), -32600, None),
        (_call("SendMassage", {}), -32601, 1),
        (_call("sendMessage", {}), -32601, 1),
        (_call("GetTask", [1]), -32602, 1),
        (_call("GetTask", "x"), -32600, 1),
        (f"[{_call('ListTasks', {})}]", -32600, None),
    ],
)
async def test_what_is_no_request_has_the_errors_of_json_rpc(
    rpc: Wire, content: str | bytes, code: int, name: int | None
) -> None:
    status, told = await _posted(rpc, content)
    assert (status, told["error"]["code"], told["id"]) == (200, code, name)
    assert told["error"]["message"]


@pytest.mark.a2a("RPC-9", "REST-8")
async def test_another_media_type_is_refused(wire: Wire) -> None:
    path = "/a2a" if wire.binding == "JSONRPC" else "/a2a/rest/message:send"
    for media in ("text/plain", "application/xml", "multipart/form-data; boundary=x"):
        answer = await wire.http.post(f"{wire.base}{path}", content="{}", headers={**VERSION, "Content-Type": media})
        error = answer.json()["error"]
        details = error["data"] if wire.binding == "JSONRPC" else error["details"]
        assert (answer.status_code, details[0]["reason"]) == (415, "CONTENT_TYPE_NOT_SUPPORTED")


@pytest.mark.a2a("RPC-1")
async def test_json_rpc_takes_its_path_with_a_slash_too(rpc: Wire) -> None:
    answer = await rpc.http.post(f"{rpc.base}/a2a/", content=_call("ListTasks", {}), headers=JSON_TYPE)
    assert answer.json()["result"]["pageSize"] == 50


@pytest.mark.a2a("REST-5", "REST-6")
@pytest.mark.parametrize("media", ["application/json", "application/a2a+json", "application/a2a+json; charset=utf-8"])
async def test_both_media_types_of_http_are_taken(rest: Wire, media: str) -> None:
    content = json.dumps({"message": message("text")})
    headers = {**VERSION, "Content-Type": media}
    answer = await rest.http.post(f"{rest.base}/a2a/rest/message:send", content=content, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/a2a+json")


@pytest.mark.a2a("REST-1", "REST-2", "REST-9", "REST-10")
@pytest.mark.parametrize("tenant", ["", "/a-tenant"])
async def test_paths_stand_below_the_url_of_the_interface_with_and_without_a_tenant(rest: Wire, tenant: str) -> None:
    base = f"{rest.base}/a2a/rest{tenant}"
    sent = await rest.http.post(f"{base}/message:send", json={"message": message("text")}, headers=VERSION)
    task = sent.json()["task"]
    got = await rest.http.get(f"{base}/tasks/{task['id']}?historyLength=0", headers=VERSION)
    assert (got.json()["id"], "history" in got.json()) == (task["id"], False)
    listed = await rest.http.get(f"{base}/tasks?contextId={task['contextId']}&includeArtifacts=true", headers=VERSION)
    assert listed.json()["tasks"][0]["artifacts"]
    for method, path, status in (
        ("GET", "/nothing/at/all", 404),
        ("PUT", "/tasks", 405),
        ("GET", "/message:send", 405),
    ):
        answer = await rest.http.request(method, f"{base}{path}", headers=VERSION)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, status)
        assert answer.json()["error"]["details"][0]["reason"] == "METHOD_NOT_FOUND"


@pytest.mark.a2a("REST-3", "RPC-10", "ERR-1", "ERR-10", "ERR-14")
async def test_an_error_has_the_same_words_over_each_binding(rpc: Wire, rest: Wire) -> None:
    told = [(await wire.call("GetTask", {"id": "nobody"})).refused("TASK_NOT_FOUND") for wire in (rpc, rest)]
    assert told[0] == told[1]


@pytest.mark.a2a("JSON-9", "JSON-6", "ERR-9", "ERR-14")
@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"message": {**message("text"), "messageId": 5}}, "message.messageId"),
        ({"message": {**message("text"), "parts": {}}}, "message.parts"),
        ({"message": message("text", parts=[{"text": "a", "data": 1}])}, "message.parts"),
        (
            {"message": message("text"), "configuration": {"returnImmediately": "yes"}},
            "configuration.returnImmediately",
        ),
        ({"message": message("text"), "configuration": {"historyLength": "many"}}, "configuration.historyLength"),
    ],
)
async def test_a_value_of_a_wrong_type_is_refused_by_its_field(wire: Wire, params: Json, field: str) -> None:
    assert (await wire.call("SendMessage", params)).fields() == [field]


@pytest.mark.a2a("JSON-8", "SEND-12")
async def test_a_role_that_is_none_is_refused(wire: Wire) -> None:
    assert (await wire.send("text", role="ROLE_ROBOT")).fields() == ["message.role"]


@pytest.mark.a2a("JSON-5")
async def test_fields_that_nobody_knows_are_ignored(wire: Wire) -> None:
    params = {"message": {**message("text"), "mood": "good"}, "configuration": {"colour": 1}, "later": [1]}
    assert state((await wire.call("SendMessage", params)).task) == "COMPLETED"


@pytest.mark.a2a("VER-1", "VER-6", "ERR-8")
@pytest.mark.parametrize("version", ["0.2", "0.5", "1.1", "1.7", "2.0", "99.0", "one", "1", "1.x"])
async def test_a_version_that_nobody_speaks_is_refused(wire: Wire, version: str) -> None:
    refused = await wire.call("ListTasks", {}, {"A2A-Version": version})
    assert "1.0 and 0.3" in refused.refused("VERSION_NOT_SUPPORTED")["message"]
    async with wire.open("SendStreamingMessage", {"message": message("text")}, {"A2A-Version": version}) as stream:
        stream.answer.refused("VERSION_NOT_SUPPORTED")


@pytest.mark.a2a("VER-1", "VER-5", "RPC-6", "OLD-1")
async def test_the_old_names_are_refused_in_another_version(rpc: Wire, rest: Wire) -> None:
    for version, code in (("1.0", -32601), ("1.0.7", -32601), ("2.0", -32009), ("0.2", -32009)):
        for method in ("message/send", "message/stream", "tasks/get"):
            _, told = await _posted(rpc, _call(method, {"message": OLD}), {**JSON_TYPE, "A2A-Version": version})
            assert (told["error"]["code"], told["id"]) == (code, 1)
        old = await rest.http.get(f"{rest.base}/a2a/rest/v1/tasks/nobody", headers={"A2A-Version": version})
        assert (old.status_code, old.json()["error"]["details"][0]["reason"]) == (400, "VERSION_NOT_SUPPORTED")


@pytest.mark.a2a("VER-3", "VER-7", "RPC-8", "REST-7")
@pytest.mark.parametrize("headers", [{"A2A-Version": "1.0.1"}, {"a2a-version": "1.0"}, {"A2A-VERSION": "1.0.99"}])
async def test_the_patch_and_the_case_of_the_header_count_for_nothing(wire: Wire, headers: dict[str, str]) -> None:
    assert (await wire.call("ListTasks", {"pageSize": 1}, headers)).result["pageSize"] == 1


@pytest.mark.a2a("VER-4")
@pytest.mark.parametrize(("version", "spoken"), [("1.0", True), ("1.7", False)])
async def test_the_version_may_stand_in_the_query(rpc: Wire, rest: Wire, version: str, spoken: bool) -> None:
    query = f"?A2A-Version={version}"
    over_rpc = await rpc.http.post(f"{rpc.base}/a2a{query}", json=json.loads(_call("ListTasks", {})))
    over_rest = await rest.http.get(f"{rest.base}/a2a/rest/tasks{query}")
    assert ("result" in over_rpc.json(), over_rest.status_code) == (spoken, 200 if spoken else 400)


@pytest.mark.a2a("VER-2", "VER-5", "OLD-1", "OLD-2")
@pytest.mark.parametrize("headers", [{}, {"A2A-Version": "0.3"}, {"A2A-Version": ""}])
async def test_no_version_means_the_old_protocol(rpc: Wire, rest: Wire, headers: dict[str, str]) -> None:
    (await rpc.call("ListTasks", {}, headers)).refused("VERSION_NOT_SUPPORTED")
    (await rest.call("ListTasks", {}, headers)).refused("VERSION_NOT_SUPPORTED")
    _, told = await _posted(
        rpc, _call("message/send", {"message": OLD}), {**headers, "Content-Type": "application/json"}
    )
    assert (told["result"]["kind"], told["result"]["status"]["state"]) == ("task", "completed")
    body = {"message": {"messageId": "text-old", "role": "ROLE_USER", "content": [{"text": "hi"}]}}
    sent = await rest.http.post(f"{rest.base}/a2a/rest/v1/message:send", json=body, headers=headers)
    assert sent.json()["task"]["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.a2a("OLD-4", "HIST-1")
@pytest.mark.parametrize(("length", "count"), [(0, 0), (1, 1), (None, 2)])
async def test_the_old_protocol_limits_the_history_too(rpc: Wire, length: int | None, count: int) -> None:
    headers = {"Content-Type": "application/json"}
    _, asked = await _posted(rpc, _call("message/send", {"message": {**OLD, "messageId": "twice-old"}}), headers)
    task_id = asked["result"]["id"]
    answer = {**OLD, "messageId": "old-answer", "taskId": task_id}
    await _posted(rpc, _call("message/send", {"message": answer}), headers)
    asked_for = {} if length is None else {"historyLength": length}
    _, got = await _posted(rpc, _call("tasks/get", {"id": task_id, **asked_for}), headers)
    assert len(got["result"].get("history", [])) == count
    over_rest = await rpc.http.get(f"{rpc.base}/a2a/rest/v1/tasks/{task_id}", params=asked_for)
    assert len(over_rest.json().get("history", [])) == count
    await rpc.call("CancelTask", {"id": task_id})


@pytest.mark.a2a("OLD-3", "OLD-2")
async def test_the_old_protocol_takes_a_stream_up_again(rpc: Wire) -> None:
    headers = {"Content-Type": "application/json"}
    asked = (await rpc.send("input")).task
    call = _call("tasks/resubscribe", {"id": asked["id"]})
    told: list[Json] = []
    async with rpc.http.stream("POST", f"{rpc.base}/a2a", content=call, headers=headers) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data:"):
                told.append(json.loads(line.removeprefix("data:"))["result"])
                if len(told) == 1:
                    await rpc.send("x", "2026", taskId=asked["id"])
    assert (told[0]["kind"], told[0]["status"]["state"]) == ("task", "input-required")
    assert (told[-1]["kind"], told[-1]["status"]["state"], told[-1]["final"]) == ("status-update", "completed", True)


@pytest.mark.a2a("EXT-1", "EXT-2", "EXT-3", "RPC-8", "REST-7")
async def test_extensions_that_are_spoken_are_confirmed_and_others_ignored(wire: Wire) -> None:
    for asked, taken in (
        (f"urn:other, {TASKS}", TASKS),
        (TASKS, TASKS),
        ("urn:other", None),
        ("", None),
    ):
        answer = await wire.call("SendMessage", {"message": message("text")}, {**VERSION, "A2A-Extensions": asked})
        assert (state(answer.task), answer.http.headers.get("a2a-extensions")) == ("COMPLETED", taken)
    card = (await wire.http.get(f"{wire.base}/.well-known/agent-card.json")).json()
    assert TASKS in [each["uri"] for each in card["capabilities"]["extensions"]]
    assert not any(each.get("required") for each in card["capabilities"]["extensions"])


@pytest.mark.a2a("SEC-1", "SEC-2")
async def test_requests_that_are_too_large_or_too_deep_are_refused(wire: Wire) -> None:
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    path = "/a2a" if wire.binding == "JSONRPC" else "/a2a/rest/message:send"
    for parts, status in (([{"data": deep}], 400), ([{"text": "x" * 9_000_000}], 413)):
        params = {"message": message("text", parts=parts)}
        content = _call("SendMessage", params) if wire.binding == "JSONRPC" else json.dumps(params)
        answer = await wire.http.post(f"{wire.base}{path}", content=content, headers=JSON_TYPE)
        assert answer.status_code == (200 if wire.binding == "JSONRPC" and status == 400 else status)
        assert answer.json()["error"]["message"]


@pytest.mark.a2a("BIND-1")
async def test_what_one_binding_begins_the_other_one_goes_on_with(rpc: Wire, rest: Wire) -> None:
    for one, other in ((rpc, rest), (rest, rpc)):
        asked = (await one.send("input")).task
        assert (await other.call("GetTask", {"id": asked["id"]})).result == asked
        assert state((await other.send("x", "2026", taskId=asked["id"])).task) == "COMPLETED"
