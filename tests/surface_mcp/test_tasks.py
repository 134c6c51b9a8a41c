"""Clients that declare the tasks extension get tasks: a run is a task, what it asks are the task's requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
import mcp.types as types
import pytest
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.session import ClientRequestContext
from mcp.shared.exceptions import MCPError
from pydantic import ConfigDict

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol import make_server
from tests.surface_mcp.served import LIMIT, Shop, call

pytestmark = pytest.mark.anyio

TASKS = "io.modelcontextprotocol/tasks"


class Handle(types.Result):
    """The result of a call that has become a task."""

    result_type: Literal["task"]
    task_id: str
    status: str
    ttl_ms: int | None
    poll_interval_ms: int


class Loose(types.Result):
    """Any result, as it was sent."""

    model_config = ConfigDict(extra="allow")


class Params(types.RequestParams):
    """What requests about tasks are given."""

    task_id: str
    input_responses: dict[str, Any] | None = None


class Get(types.Request[Params, Literal["tasks/get", "tasks/update", "tasks/cancel"]]):
    """A request about a task."""

    name_param = "taskId"


class Follows(ClientExtension):
    """Takes tasks, and leaves it to the test to follow them."""

    identifier = TASKS

    def claims(self) -> list[ResultClaim[Handle]]:
        """Claim results that are tasks."""
        return [ResultClaim(result_type="task", model=Handle, resolve=self.refuse)]

    async def refuse(self, handle: Handle, context: ClaimContext) -> types.CallToolResult:
        """Never get here: tests take the handle itself."""
        raise AssertionError(handle)


async def no_forms(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
    """Never get here: tasks ask by their requests."""
    raise AssertionError(params)


@pytest.fixture(scope="module")
async def client(shared: Shop) -> AsyncGenerator[Client]:
    """Return a client with tasks and forms."""
    async with shared.client(mode="2026-07-28", elicitation=no_forms, extensions=[Follows()]) as client:
        yield client


async def begin(client: Client, tool: str, **arguments: Any) -> Handle:
    """Call a workflow that becomes a task."""
    with anyio.fail_after(LIMIT):
        found = await client.session.call_tool(tool, arguments, allow_claimed=True)
    assert isinstance(found, Handle)
    return found


async def ask(client: Client, method: Any, task_id: str, replies: dict[str, Any] | None = None) -> dict[str, Any]:
    """Send a request about a task."""
    request = Get(method=method, params=Params(task_id=task_id, input_responses=replies))
    with anyio.fail_after(LIMIT):
        found = await client.session.send_request(request, Loose)
    return {name: value for name, value in (found.model_extra or {}).items() if name != "resultType"}


async def test_a_call_that_ends_soon_is_no_task(client: Client) -> None:
    with anyio.fail_after(LIMIT):
        found = await client.session.call_tool("greet", {"name": "Ana"}, allow_claimed=True)
    assert isinstance(found, types.CallToolResult)
    assert found.structured_content == {"text": "hello Ana"}


async def test_a_task_asks_is_answered_and_gives_the_result_of_its_call(client: Client) -> None:
    handle = await begin(client, "approval", amount=3)
    assert (handle.status, handle.ttl_ms) == ("input_required", None)
    task = await ask(client, "tasks/get", handle.task_id)
    [(key, request)] = task["inputRequests"].items()
    assert request["method"] == "elicitation/create"
    assert request["params"]["message"] == "Approve 3 EUR?"
    accepted = {key: {"action": "accept", "content": {"decision": "reject"}}}
    assert await ask(client, "tasks/update", handle.task_id, {"unknown": {"action": "accept"}, **accepted}) == {}
    done = await ended(client, handle.task_id)
    assert done["status"] == "completed"
    assert "inputRequests" not in done
    assert done["result"]["structuredContent"] == {"decision": "reject", "amount": 3}
    assert done["result"]["isError"] is False
    assert await ask(client, "tasks/update", handle.task_id, accepted) == {}


async def test_an_answer_that_does_not_fit_is_asked_for_again_by_another_key(client: Client) -> None:
    handle = await begin(client, "approval")
    task = await ask(client, "tasks/get", handle.task_id)
    keys: list[str] = []
    for decision in ("hm", "no idea"):
        [key] = task["inputRequests"]
        keys.append(key)
        wrong = {key: {"action": "accept", "content": {"decision": decision}}}
        for _ in range(2):  # the second time the key is none any more
            assert await ask(client, "tasks/update", handle.task_id, wrong) == {}
        task = await ask(client, "tasks/get", handle.task_id)
        [request] = task["inputRequests"].values()
        assert request["params"]["message"].startswith("Approve 20 EUR?\n\nThat doesn't fit: decision: ")
    [last] = task["inputRequests"]
    assert len({*keys, last}) == 3
    for key in (keys[0], last):
        await ask(
            client, "tasks/update", handle.task_id, {key: {"action": "accept", "content": {"decision": "approve"}}}
        )
        state = await ask(client, "tasks/get", handle.task_id)
        assert (state["status"] == "input_required") is (key != last)
    assert (await ended(client, handle.task_id))["result"]["structuredContent"]["decision"] == "approve"


async def test_what_is_no_reply_is_refused_and_changes_nothing(client: Client) -> None:
    handle = await begin(client, "approval")
    before = await ask(client, "tasks/get", handle.task_id)
    [key] = before["inputRequests"]
    for reply in ({"action": "hm"}, {}, "accept", None):
        with pytest.raises(MCPError, match="a reply has the action") as caught:
            await ask(client, "tasks/update", handle.task_id, {key: reply})
        assert caught.value.error.code == types.INVALID_PARAMS
    assert await ask(client, "tasks/get", handle.task_id) == before


async def test_a_closed_form_is_not_asked_for_again_but_can_be_answered(client: Client) -> None:
    handle = await begin(client, "approval")
    [key] = (await ask(client, "tasks/get", handle.task_id))["inputRequests"]
    assert await ask(client, "tasks/update", handle.task_id, {key: {"action": "cancel"}}) == {}
    task = await ask(client, "tasks/get", handle.task_id)
    assert (task["status"], "inputRequests" in task) == ("working", False)
    assert f"resume_workflow with task_id {key}" in task["statusMessage"]
    await call(client, "resume_workflow", task_id=key, answer={"decision": "reject"})
    assert (await ended(client, handle.task_id))["result"]["structuredContent"]["decision"] == "reject"


async def ended(client: Client, task_id: str) -> dict[str, Any]:
    """Return a task at its end."""
    await call(client, "wait_workflow", task_id=task_id)
    return await ask(client, "tasks/get", task_id)


async def test_a_declined_request_completes_its_task_with_an_error_of_the_tool(client: Client) -> None:
    handle = await begin(client, "approval")
    [key] = (await ask(client, "tasks/get", handle.task_id))["inputRequests"]
    await ask(client, "tasks/update", handle.task_id, {key: {"action": "decline"}})
    done = await ended(client, handle.task_id)
    assert (done["status"], done["result"]["isError"]) == ("completed", True)
    assert done["result"]["structuredContent"]["error"]["code"] == "AF-WAIT-DECLINED"


async def test_a_task_is_cancelled_once_and_for_all(client: Client) -> None:
    handle = await begin(client, "slow")
    assert handle.status == "working"
    for _ in range(2):
        assert await ask(client, "tasks/cancel", handle.task_id) == {}
        assert (await ended(client, handle.task_id))["status"] == "cancelled"


async def test_what_waits_for_something_from_elsewhere_is_given_as_a_handle(client: Client) -> None:
    found: Any = (await call(client, "paid")).structured_content
    assert found["waiting_for"][0]["kind"] == "event"


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_a_task_that_is_not_there_is_told_alike(client: Client, method: str) -> None:
    with pytest.raises(MCPError, match="Task not found") as caught:
        await ask(client, method, "01m8q0jcn2evg8qqrdxnsam8hj", {})
    assert caught.value.error.code == types.INVALID_PARAMS


async def test_a_task_of_one_server_is_answered_at_another(client: Client, shared: Shop) -> None:
    handle = await begin(client, "approval")
    [key] = (await ask(client, "tasks/get", handle.task_id))["inputRequests"]
    async with shared.client(mode="2026-07-28", elicitation=no_forms, extensions=[Follows()]) as other:
        assert (await ask(other, "tasks/get", handle.task_id))["inputRequests"].keys() == {key}
        accepted = {key: {"action": "accept", "content": {"decision": "approve"}}}
        await ask(other, "tasks/update", handle.task_id, accepted)
    done = await ended(client, handle.task_id)
    assert done["result"]["structuredContent"] == {"decision": "approve", "amount": 20}


ASKS = """\
workflows:
  pick:
    steps:
      - {id: pick, type: wait_for_input, message: Which?, schema: {type: array, items: {type: string}}}
"""


@asynccontextmanager
async def inside(**how: Any) -> AsyncGenerator[Client]:
    """Return a client at a server in this process."""
    async with Engine.open(":memory:", config=load_text(ASKS)) as engine:
        server = make_server(Desk(engine, CONTROLS, hold=60), "inside")
        async with Client(server, **how) as client:
            yield client


async def test_who_has_not_declared_tasks_is_refused() -> None:
    async with inside(mode="2026-07-28") as client:
        with pytest.raises(MCPError) as caught:
            await ask(client, "tasks/get", "01m8q0jcn2evg8qqrdxnsam8hj")
    assert caught.value.error.code == types.MISSING_REQUIRED_CLIENT_CAPABILITY
    assert caught.value.error.data == {"requiredCapabilities": {"extensions": {TASKS: {}}}}


async def test_what_no_form_can_ask_is_a_handle_also_for_clients_with_tasks() -> None:
    async with inside(mode="2026-07-28", elicitation_callback=no_forms, extensions=[Follows()]) as client:
        handle: Any = (await call(client, "pick")).structured_content
        assert handle["status"] == "input_required"
        task = await ask(client, "tasks/get", handle["task_id"])
        assert task["status"] == "working"
        assert handle["waiting_for"][0]["task_id"] in task["statusMessage"]
        done: Any = (await call(client, "resume_workflow", task_id=handle["task_id"], answer=["a"])).structured_content
        assert done["output"] == ["a"]
