"""Where callers bring tokens: who is let in, and whose tasks each sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from tests.surface_a2a.conformance.conftest import AGENT, BINDINGS
from tests.surface_a2a.conformance.wire import VERSION, Json, Wire, message, state
from tests.surface_a2a.served import Server

pytestmark = pytest.mark.anyio
TOKENS = """
auth:
  tokens:
    - {name: ann, value_env: ANN_TOKEN}
    - {name: bob, value_env: BOB_TOKEN}
"""
ENV = {"ANN_TOKEN": "token-of-ann", "BOB_TOKEN": "token-of-bob"}
CONFIG: Json = {"taskId": "any", "url": "http://127.0.0.1:1/"}
OPERATIONS = ("GetTask", "CancelTask", "SubscribeToTask")


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """The agent, for those who bring a token; it sends no push notifications."""
    with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:
        made = Server(
            Path(folder), config=AGENT.replace("push: {private: true}", "push: {enabled: false}") + TOKENS, env=ENV
        )
        try:
            yield made
        finally:
            made.end()


@pytest.fixture(params=BINDINGS)
def ann(request: pytest.FixtureRequest, http: httpx.AsyncClient, guarded: Server) -> Wire:
    """A client with a token, of each binding."""
    return Wire(http, guarded.url, request.param, ENV["ANN_TOKEN"])


@pytest.fixture
def bob(ann: Wire) -> Wire:
    """A client with another token, of the same binding."""
    return Wire(ann.http, ann.base, ann.binding, ENV["BOB_TOKEN"])


@pytest.mark.a2a("AUTH-1", "AUTH-2", "XCARD-3")
@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer wrong", "Basic token-of-ann", "token-of-ann"])
async def test_who_brings_no_token_that_is_known_is_refused(ann: Wire, value: str | None) -> None:
    headers = {**VERSION, **({} if value is None else {"Authorization": value})}
    for operation, params in (
        ("ListTasks", {}),
        ("SendMessage", {"message": message("text")}),
        ("GetTask", {"id": "any"}),
        ("GetExtendedAgentCard", {}),
    ):
        answer = await ann.call(operation, params, headers)
        assert (answer.http.status_code, answer.http.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.a2a("AUTH-3", "ERR-11", "LIST-1")
async def test_the_tasks_of_others_look_as_if_they_were_not_there(ann: Wire, bob: Wire) -> None:
    task = (await ann.send("input")).task
    for operation in OPERATIONS:
        foreign = (await bob.call(operation, {"id": task["id"]})).refused("TASK_NOT_FOUND")
        unknown = (await bob.call(operation, {"id": "x" * len(task["id"])})).refused("TASK_NOT_FOUND")
        assert foreign["details"] == unknown["details"]
        assert foreign["message"].replace(task["id"], "") == unknown["message"].replace("x" * len(task["id"]), "")
    (await bob.send("x", "2026", taskId=task["id"])).refused("TASK_NOT_FOUND")
    (await bob.send("x", "2026", taskId=task["id"], contextId=task["contextId"])).refused("TASK_NOT_FOUND")
    assert (await bob.call("ListTasks", {"contextId": task["contextId"]})).result["totalSize"] == 0
    listed = (await ann.call("ListTasks", {"contextId": task["contextId"]})).result
    assert task["id"] in [each["id"] for each in listed["tasks"]]
    assert state((await ann.send("x", "2026", taskId=task["id"])).task) == "COMPLETED"


@pytest.mark.a2a("XCARD-4", "CARD-10")
async def test_the_extended_card_is_for_who_has_said_who_it_is(ann: Wire) -> None:
    public = (await ann.http.get(f"{ann.base}/.well-known/agent-card.json")).json()
    assert public["capabilities"]["extendedAgentCard"] is True
    assert public["securitySchemes"]["bearer"]["httpAuthSecurityScheme"]["scheme"] == "bearer"
    assert public["securityRequirements"]
    extended = (await ann.call("GetExtendedAgentCard", {})).result
    assert {skill["id"] for skill in extended["skills"]} >= {skill["id"] for skill in public["skills"]}
    assert extended["name"] == public["name"]


@pytest.mark.a2a("AUTH-5")
async def test_tokens_stand_in_no_answer_and_in_no_log(guarded: Server, http: httpx.AsyncClient) -> None:
    wire = Wire(http, guarded.url, "HTTP+JSON", ENV["ANN_TOKEN"])
    told = [(await wire.send("text")).http.text, (await wire.call("GetTask", {"id": "nobody"})).http.text]
    told.append((await wire.call("ListTasks", {"includeArtifacts": True, "historyLength": 9})).http.text)
    told.append((guarded.folder / "errors.txt").read_text(encoding="utf-8"))
    assert not any(ENV["ANN_TOKEN"] in each for each in told)


@pytest.mark.a2a("PUSH-1", "ERR-4")
@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("CreateTaskPushNotificationConfig", CONFIG),
        ("GetTaskPushNotificationConfig", {"taskId": "any", "id": "c"}),
        ("ListTaskPushNotificationConfigs", {"taskId": "any"}),
        ("DeleteTaskPushNotificationConfig", {"taskId": "any", "id": "c"}),
        (
            "SendMessage",
            {"message": message("text"), "configuration": {"taskPushNotificationConfig": {"url": "http://x"}}},
        ),
    ],
)
async def test_without_the_capability_push_notifications_are_refused(ann: Wire, operation: str, params: Any) -> None:
    assert (
        not (await ann.http.get(f"{ann.base}/.well-known/agent-card.json"))
        .json()["capabilities"]
        .get("pushNotifications")
    )
    (await ann.call(operation, params)).refused("PUSH_NOTIFICATION_NOT_SUPPORTED")
