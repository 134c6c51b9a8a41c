"""Clients that have the tasks of 2025-11-25 only: they ask for one, and for its result, which waits for the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import mcp.types as types
import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp.shared.exceptions import MCPError

from agentflow import Answer, Engine
from agentflow.config.load import load_text
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol import make_server
from tests.surface_mcp.served import LIMIT, call
from tests.surface_mcp.test_tasks import Loose

pytestmark = pytest.mark.anyio

CONFIG = """\
workflows:
  ask:
    input: {n: {type: integer, default: 1}}
    steps:
      - id: s
        type: wait_for_input
        message: How many?
        schema: {type: object, properties: {n: {type: integer}}, required: [n]}
    output: "{steps.s.n}"
  fails: {steps: [{id: s, type: end, state: failed, message: no luck}]}
  now: {mcp: {mode: task}, steps: [{id: s, type: set, value: 1}]}
  sync: {mcp: {mode: sync}, steps: [{id: s, type: set, value: 1}]}
"""
RELATED = "io.modelcontextprotocol/related-task"


class User:
    """Answers forms."""

    def __init__(self) -> None:
        """Be asked nothing yet."""
        self.metas: list[Any] = []
        self.replies = [types.ElicitResult(action="accept", content={"n": 5})]

    async def __call__(self, context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        """Fill in a form."""
        self.metas.append(params.meta)
        return self.replies.pop(0)


@asynccontextmanager
async def served(user: User | None = None) -> AsyncGenerator[tuple[Client, Engine]]:
    """Return a client of 2025-11-25, and the engine of its server."""
    async with Engine.open(":memory:", config=load_text(CONFIG)) as engine:
        server = make_server(Desk(engine, CONTROLS, hold=60), "earlier")
        async with Client(server, mode="legacy", elicitation_callback=user, read_timeout_seconds=LIMIT) as client:
            yield client, engine


async def begin(client: Client, tool: str, ttl: int | None = None, **arguments: Any) -> dict[str, Any]:
    """Call a tool as a task."""
    params = {"name": tool, "arguments": arguments, "task": {} if ttl is None else {"ttl": ttl}}
    dispatcher = client.session._dispatcher  # pyright: ignore[reportPrivateUsage]  it refuses tasks itself
    found = await dispatcher.send_raw_request("tools/call", params)
    return found["task"]


async def ask(client: Client, make: Callable[[], Any]) -> dict[str, Any]:
    """Send a request about tasks."""
    with anyio.fail_after(LIMIT):
        found = await client.session.send_request(make(), Loose)
    return {**(found.model_extra or {}), "meta": found.meta}


def result(task_id: str) -> Callable[[], Any]:
    return lambda: types.GetTaskPayloadRequest(params=types.GetTaskPayloadRequestParams(task_id=task_id))


def get(task_id: str) -> Callable[[], Any]:
    return lambda: types.GetTaskRequest(params=types.GetTaskRequestParams(task_id=task_id))


def cancel(task_id: str) -> Callable[[], Any]:
    return lambda: types.CancelTaskRequest(params=types.CancelTaskRequestParams(task_id=task_id))


async def test_what_can_be_a_task_is_told_with_the_tools() -> None:
    async with served() as (client, _):
        assert client.server_capabilities is not None
        assert client.server_capabilities.model_dump(exclude_none=True)["tasks"] == {
            "list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}
        }  # fmt: skip
        tools = (await client.list_tools()).tools
        support = {tool.name: tool.execution.task_support for tool in tools if tool.execution is not None}
        assert support == {"ask": "optional", "fails": "optional", "now": "required"}


async def test_the_result_of_a_task_asks_the_user_and_comes_at_the_end() -> None:
    user = User()
    async with served(user) as (client, _):
        task = await begin(client, "ask")
        assert task["status"] in ("working", "input_required")
        done = await ask(client, result(task["taskId"]))
        assert (done["structuredContent"], done["isError"]) == ({"result": 5}, False)
        assert done["meta"][RELATED] == {"taskId": task["taskId"]}
        assert user.metas == [{RELATED: {"taskId": task["taskId"]}}]
        now = await ask(client, get(task["taskId"]))
        assert (now["status"], now["ttl"]) == ("completed", None)
        assert await ask(client, result(task["taskId"])) == done


async def test_the_result_of_a_task_waits_for_an_answer_by_another_door() -> None:
    async with served() as (client, engine):
        task = await begin(client, "ask")
        found: list[Any] = []
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                found.append(await ask(client, result(task["taskId"])))

            group.start_soon(wait)
            await engine.wait(task["taskId"], LIMIT)
            [view] = await engine.waits(task["taskId"])
            await engine.resume(view.id, Answer({"n": 9}))
        assert found[0]["structuredContent"] == {"result": 9}


async def test_a_task_that_fails_has_failed_and_its_result_says_why() -> None:
    async with served() as (client, _):
        task = await begin(client, "fails")
        done = await ask(client, result(task["taskId"]))
        assert done["isError"] is True
        assert (await ask(client, get(task["taskId"])))["status"] == "failed"


async def test_a_task_is_cancelled_once() -> None:
    async with served() as (client, _):
        task = await begin(client, "ask")
        assert (await ask(client, cancel(task["taskId"])))["status"] == "cancelled"
        with pytest.raises(MCPError, match="ended already") as caught:
            await ask(client, cancel(task["taskId"]))
        assert caught.value.error.code == types.INVALID_PARAMS


async def test_a_task_is_kept_as_long_as_its_client_asks() -> None:
    async with served() as (client, engine):
        task = await begin(client, "now", ttl=60_000)
        await ask(client, result(task["taskId"]))
        run = await engine.get(task["taskId"])
        assert run.ended_at is not None
        assert run.retention == 60.0
        assert (await ask(client, get(task["taskId"])))["ttl"] == int((run.ended_at - run.created_at + 60) * 1000)


async def test_tasks_are_listed_page_by_page() -> None:
    async with served() as (client, engine):
        runs = [await engine.start("now") for _ in range(51)]
        page = await ask(client, types.ListTasksRequest)
        rest = await ask(
            client, lambda: types.ListTasksRequest(params=types.PaginatedRequestParams(cursor=page["nextCursor"]))
        )
        found = [task["taskId"] for task in (*page["tasks"], *rest["tasks"])]
        assert found == [run.id for run in reversed(runs)]
        assert "nextCursor" not in rest


@pytest.mark.parametrize("make", [get, result, cancel])
async def test_a_task_that_is_not_there_is_told_alike(make: Callable[[str], Callable[[], Any]]) -> None:
    async with served() as (client, _):
        with pytest.raises(MCPError, match="Task not found") as caught:
            await ask(client, make("01m8q0jcn2evg8qqrdxnsam8hj"))
        assert caught.value.error.code == types.INVALID_PARAMS


async def test_a_tool_is_called_as_its_workflow_says_or_not_at_all() -> None:
    async with served() as (client, engine):
        for name in ("sync", "get_workflow_run"):
            with pytest.raises(MCPError) as caught:
                await begin(client, name, task_id="x")
            assert caught.value.error.code == types.METHOD_NOT_FOUND
        with pytest.raises(MCPError) as caught:
            await call(client, "now")
        assert caught.value.error.code == types.METHOD_NOT_FOUND
        with pytest.raises(MCPError, match="Unknown tool"):
            await begin(client, "nothing")
        assert await engine.list() == []
