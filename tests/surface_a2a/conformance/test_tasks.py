"""Single tasks and the list of them."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest

from tests.surface_a2a.conformance.wire import Json, Wire, state, words

pytestmark = pytest.mark.anyio
MANY = 7


def _token(at: float, name: str = "x") -> str:
    """Return a token of the list of all tasks that nobody was given."""
    filters = sha256(json.dumps(["", "", ""]).encode()).hexdigest()[:8]
    return base64.urlsafe_b64encode(json.dumps([at, name, filters]).encode()).decode().rstrip("=")


async def _context(wire: Wire, *behaviours: str) -> tuple[str, list[Json]]:
    """Return a new context with a task of each behaviour."""
    name = uuid4().hex
    return name, [(await wire.send(each, contextId=name)).task for each in behaviours]


async def _pages(wire: Wire, **asked: Any) -> list[Json]:
    """Return all pages of a list."""
    pages: list[Json] = []
    token = ""
    while True:
        pages.append((await wire.call("ListTasks", {**asked, **({"pageToken": token} if token else {})})).result)
        token = pages[-1]["nextPageToken"]
        if not token:
            return pages


@pytest.mark.a2a("GET-1", "GET-3", "DATA-7", "JSON-1", "JSON-2")
async def test_a_task_is_told_as_it_is(wire: Wire) -> None:
    sent = (await wire.send("text")).task
    first, again = [(await wire.call("GetTask", {"id": sent["id"]})).result for _ in range(2)]
    assert first == again == sent
    assert set(first) == {"id", "contextId", "status", "artifacts", "history", "metadata"}
    assert first["status"]["state"] == "TASK_STATE_COMPLETED"
    assert first["history"][0]["role"] == "ROLE_USER"


@pytest.mark.a2a("GET-2", "CANCEL-3", "ERR-2", "ERR-14")
@pytest.mark.parametrize("name", ["nobody", "1e4c1a076e444ef6a5812a91ae754f1f", "x" * 300, "%2e%2e", "ä"])
async def test_a_task_that_is_not_there_is_not_found(wire: Wire, name: str) -> None:
    for operation in ("GetTask", "CancelTask"):
        (await wire.call(operation, {"id": name})).refused("TASK_NOT_FOUND")


@pytest.mark.a2a("GET-4", "JSON-6")
@pytest.mark.parametrize("operation", ["GetTask", "CancelTask", "SubscribeToTask"])
async def test_the_id_of_a_task_is_required(rpc: Wire, operation: str) -> None:
    assert (await rpc.call(operation, {})).fields() == ["id"]


@pytest.mark.a2a("JSON-3", "JSON-4")
async def test_times_are_in_utc_with_milliseconds(wire: Wire) -> None:
    at = (await wire.send("text")).task["status"]["timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", at)
    assert datetime.fromisoformat(at).year > 2024


@pytest.mark.a2a("CANCEL-1", "CANCEL-2", "CANCEL-4", "CANCEL-5", "STATE-1", "ERR-3")
@pytest.mark.parametrize("behaviour", ["input", "long"])
async def test_a_task_is_cancelled_once_and_stays_so(wire: Wire, behaviour: str) -> None:
    task = (await wire.send(behaviour, configuration={"returnImmediately": behaviour == "long"})).task
    cancelled = (await wire.call("CancelTask", {"id": task["id"], "metadata": {"why": "no need"}})).result
    assert (state(cancelled), cancelled["id"]) == ("CANCELED", task["id"])
    (await wire.call("CancelTask", {"id": task["id"]})).refused("TASK_NOT_CANCELABLE")
    assert (await wire.call("GetTask", {"id": task["id"]})).result == cancelled
    (await wire.send("x", "2026", taskId=task["id"])).refused("UNSUPPORTED_OPERATION")


@pytest.mark.a2a("CANCEL-2", "ERR-3")
@pytest.mark.parametrize("behaviour", ["text", "reject", "fail"])
async def test_what_has_ended_is_not_cancelled(wire: Wire, behaviour: str) -> None:
    task = (await wire.send(behaviour)).task
    (await wire.call("CancelTask", {"id": task["id"]})).refused("TASK_NOT_CANCELABLE")


@pytest.mark.a2a("HIST-1", "HIST-2", "HIST-3", "HIST-5", "HIST-6", "HIST-8")
async def test_a_history_has_the_newest_messages_in_their_order(wire: Wire) -> None:
    task = (await wire.send("twice", "start")).task
    for text in ("one", "two"):
        await wire.send("x", text, taskId=task["id"])

    async def told(**asked: int) -> list[str] | None:
        found = (await wire.call("GetTask", {"id": task["id"], **asked})).result
        if "history" not in found:
            return None
        return [each["parts"][0]["text"] for each in found["history"] if each["role"] == "ROLE_USER"]

    assert await told() == ["start", "one", "two"]
    assert await told(historyLength=100) == ["start", "one", "two"]
    assert await told(historyLength=0) is None
    assert await told(historyLength=2) == ["one", "two"]


@pytest.mark.a2a("HIST-4", "HIST-1", "HIST-2")
async def test_the_answer_to_a_message_has_as_much_history_as_asked_for(wire: Wire) -> None:
    none = (await wire.send("text", configuration={"historyLength": 0})).task
    assert "history" not in none
    asked = (await wire.send("twice", "start")).task
    one = (await wire.send("x", "one", taskId=asked["id"], configuration={"historyLength": 1})).task
    assert [each["parts"][0]["text"] for each in one["history"]] == ["one"]


@pytest.mark.a2a("HIST-7", "LIST-7", "LIST-10", "LIST-12", "ERR-9", "JSON-8", "ERR-14")
@pytest.mark.parametrize(
    ("operation", "asked", "field"),
    [
        ("GetTask", {"id": "any", "historyLength": -1}, "historyLength"),
        ("ListTasks", {"historyLength": -1}, "historyLength"),
        ("ListTasks", {"pageSize": 0}, "pageSize"),
        ("ListTasks", {"pageSize": 101}, "pageSize"),
        ("ListTasks", {"pageSize": -5}, "pageSize"),
        ("ListTasks", {"pageToken": "nonsense"}, "pageToken"),
        ("ListTasks", {"pageToken": "W10"}, "pageToken"),
        ("ListTasks", {"pageToken": _token(10**400)}, "pageToken"),
        ("ListTasks", {"pageToken": _token(1, "\ud800")}, "pageToken"),
        ("ListTasks", {"status": "TASK_STATE_FOO"}, "status"),
        ("ListTasks", {"status": "completed"}, "status"),
        ("ListTasks", {"statusTimestampAfter": "yesterday"}, "statusTimestampAfter"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused_by_its_field(
    wire: Wire, operation: str, asked: Json, field: str
) -> None:
    assert (await wire.call(operation, asked)).fields() == [field]


@pytest.mark.a2a("HIST-7", "ERR-12")
async def test_a_wrong_configuration_starts_nothing(wire: Wire) -> None:
    context = uuid4().hex
    wrong = await wire.send("text", contextId=context, configuration={"historyLength": -1})
    assert wrong.fields() == ["configuration.historyLength"]
    assert (await wire.call("ListTasks", {"contextId": context})).result["totalSize"] == 0


@pytest.mark.a2a("LIST-2", "LIST-3", "LIST-4", "LIST-7", "LIST-8", "LIST-9", "LIST-14")
async def test_pages_give_all_tasks_of_a_context_once_the_newest_first(wire: Wire) -> None:
    context, tasks = await _context(wire, *["text"] * MANY)
    expected = [task["id"] for task in reversed(tasks)]
    for size, sizes in ((3, [3, 3, 1]), (MANY, [MANY]), (100, [MANY])):
        pages = await _pages(wire, contextId=context, pageSize=size)
        assert [len(page["tasks"]) for page in pages if page["tasks"]] == sizes
        assert all((page["totalSize"], page["pageSize"]) == (MANY, size) for page in pages)
        assert [task["id"] for page in pages for task in page["tasks"]] == expected
    bare = (await wire.call("ListTasks", {"contextId": context})).result
    assert (bare["pageSize"], bare["nextPageToken"]) == (50, "")
    changed = [task["status"]["timestamp"] for task in bare["tasks"]]
    assert changed == sorted(changed, reverse=True)


@pytest.mark.a2a("LIST-2", "LIST-4")
async def test_a_page_that_takes_all_is_the_last_one(wire: Wire) -> None:
    context, _ = await _context(wire, "text", "text")
    assert (await wire.call("ListTasks", {"contextId": context, "pageSize": 2})).result["nextPageToken"] == ""


@pytest.mark.a2a("LIST-4", "LIST-8")
async def test_an_empty_list_has_all_its_fields(wire: Wire) -> None:
    found = (await wire.call("ListTasks", {"contextId": uuid4().hex})).result
    assert found == {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}


@pytest.mark.a2a("LIST-5", "LIST-13", "HIST-2")
async def test_artifacts_and_history_are_listed_as_asked_for(wire: Wire) -> None:
    context, _ = await _context(wire, "text")

    async def listed(**asked: Any) -> Json:
        [task] = (await wire.call("ListTasks", {"contextId": context, **asked})).result["tasks"]
        return task

    assert "artifacts" not in await listed()
    assert "artifacts" not in await listed(includeArtifacts=False)
    assert (await listed(includeArtifacts=True))["artifacts"][0]["artifactId"] == "words"
    assert "history" not in await listed(historyLength=0)
    assert len((await listed(historyLength=1))["history"]) == 1


@pytest.mark.a2a("LIST-6")
async def test_a_task_without_artifacts_has_an_empty_list_of_them_where_they_are_asked_for(wire: Wire) -> None:
    context, _ = await _context(wire, "reject")
    asked = {"contextId": context, "includeArtifacts": True}
    [task] = (await wire.call("ListTasks", asked)).result["tasks"]
    assert task["artifacts"] == []


@pytest.mark.a2a("LIST-10", "LIST-9", "LIST-8")
async def test_a_list_is_filtered_by_state(wire: Wire) -> None:
    context, (done, refused, asked) = await _context(wire, "text", "reject", "input")
    for name, task in (("COMPLETED", done), ("REJECTED", refused)):
        found = (await wire.call("ListTasks", {"contextId": context, "status": f"TASK_STATE_{name}"})).result
        assert ([each["id"] for each in found["tasks"]], found["totalSize"]) == ([task["id"]], 1)
    waiting = (await wire.call("ListTasks", {"contextId": context, "status": "TASK_STATE_INPUT_REQUIRED"})).result
    assert asked["id"] in [each["id"] for each in waiting["tasks"]]
    none = (await wire.call("ListTasks", {"contextId": context, "status": "TASK_STATE_AUTH_REQUIRED"})).result
    assert (none["tasks"], none["totalSize"]) == ([], 0)


@pytest.mark.a2a("LIST-11")
async def test_a_list_is_filtered_by_the_time_of_the_last_change(wire: Wire) -> None:
    context, (early, late) = await _context(wire, "text", "text")
    since = late["status"]["timestamp"]
    for form in (since, since.replace("Z", "+00:00")):
        found = (await wire.call("ListTasks", {"contextId": context, "statusTimestampAfter": form})).result
        assert late["id"] in [each["id"] for each in found["tasks"]]
        if early["status"]["timestamp"] < since:
            assert early["id"] not in [each["id"] for each in found["tasks"]]
    future = {"contextId": context, "statusTimestampAfter": "2999-01-01T00:00:00Z"}
    assert (await wire.call("ListTasks", future)).result["totalSize"] == 0


@pytest.mark.a2a("LIST-12")
async def test_a_token_of_another_list_gives_nothing_that_its_filter_leaves_out(wire: Wire) -> None:
    one, _ = await _context(wire, "text", "text")
    other, tasks = await _context(wire, "text", "text")
    token = (await wire.call("ListTasks", {"contextId": one, "pageSize": 1})).result["nextPageToken"]
    mixed = await wire.call("ListTasks", {"contextId": other, "pageSize": 1, "pageToken": token})
    assert mixed.fields() == ["pageToken"]
    assert len(tasks) == 2


@pytest.mark.a2a("STATE-4", "STATE-3")
async def test_a_task_that_waits_lists_what_for(wire: Wire) -> None:
    task = (await wire.send("input")).task
    told = (await wire.call("GetTask", {"id": task["id"]})).result
    assert words(told["status"]) == "Which year?"
    [wait] = [part["data"]["wait"] for part in told["status"]["message"]["parts"] if "data" in part]
    assert wait["schema"] == {"type": "integer", "minimum": 1900}
