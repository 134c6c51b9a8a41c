"""What a workflow's `mcp` says: how its calls are answered, and what clients are told of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import mcp.types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol import make_server
from tests.surface_mcp.served import call
from tests.surface_mcp.test_tasks import TASKS, Follows, ask, begin, no_forms

pytestmark = pytest.mark.anyio

ASKS = "{id: s, type: wait_for_input, message: m, schema: {type: array}}"
CONFIG = f"""\
workflows:
  asks_sync: {{mcp: {{mode: sync}}, steps: [{ASKS}]}}
  hidden: {{mcp: false, steps: [{{id: s, type: set, value: 1}}]}}
  hurried: {{mcp: {{hold: 0}}, steps: [{{id: s, type: delay, for: 1h}}]}}
  marked:
    mcp: {{read_only: true, destructive: false, idempotent: true, open_world: false}}
    steps: [{{id: s, type: set, value: 1}}]
  plain: {{steps: [{{id: s, type: set, value: 1}}]}}
  sync: {{mcp: {{mode: sync, hold: 10ms}}, steps: [{{id: s, type: delay, for: 1h}}]}}
  task: {{mcp: {{mode: task}}, steps: [{{id: s, type: set, value: 7}}]}}
  young: {{mcp: {{grace: 0}}, steps: [{{id: s, type: delay, for: 1h}}]}}
"""


@asynccontextmanager
async def served(**how: Any) -> AsyncGenerator[Client]:
    """Return a client at a server in this process."""
    async with Engine.open(":memory:", config=load_text(CONFIG)) as engine:
        server = make_server(Desk(engine, CONTROLS, hold=60), "inside")
        async with Client(server, **how) as client:
            yield client


async def test_a_hidden_workflow_is_no_tool_and_no_resource() -> None:
    async with served() as client:
        assert "hidden" not in {tool.name for tool in (await client.list_tools()).tools}
        assert "hidden" not in {each.name for each in (await client.list_resources()).resources}
        with pytest.raises(MCPError, match="Unknown tool"):
            await call(client, "hidden")
        with pytest.raises(MCPError, match="Resource not found"):
            await client.read_resource("agentflow://workflows/hidden")


async def test_hints_are_told_as_the_workflow_gives_them() -> None:
    async with served() as client:
        tools = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}
    marked, plain = tools["marked"], tools["plain"]
    assert marked is not None
    assert plain is not None
    assert marked.model_dump(exclude_none=True) == {
        "read_only_hint": True,
        "destructive_hint": False,
        "idempotent_hint": True,
        "open_world_hint": False,
    }
    assert plain.model_dump(exclude_none=True) == {"read_only_hint": False}


async def test_a_call_waits_as_long_as_its_workflow_says() -> None:
    async with served() as client:
        for name in ("hurried", "sync"):
            handle: Any = (await call(client, name)).structured_content
            assert (handle["workflow"], handle["status"]) == (name, "working")


async def test_a_workflow_says_whether_its_calls_become_tasks() -> None:
    async with served(mode="2026-07-28", elicitation_callback=no_forms, extensions=[Follows()]) as client:
        assert (await begin(client, "young")).status == "working"
        for name in ("asks_sync", "sync"):
            found = await client.session.call_tool(name, {}, allow_claimed=True)
            assert isinstance(found, types.CallToolResult)
        handle = await begin(client, "task")
        done = await ask(client, "tasks/get", handle.task_id)
        while done["status"] == "working":
            done = await ask(client, "tasks/get", handle.task_id)
        assert done["result"]["structuredContent"] == {"result": 7}


async def test_a_workflow_that_runs_only_as_a_task_says_what_a_client_lacks() -> None:
    async with served(mode="2026-07-28") as client:
        with pytest.raises(MCPError) as caught:
            await call(client, "task")
        assert caught.value.error.code == types.MISSING_REQUIRED_CLIENT_CAPABILITY
        assert caught.value.error.data == {"requiredCapabilities": {"extensions": {TASKS: {}}}}
        listed: Any = (await call(client, "list_workflow_runs")).structured_content
        assert listed["runs"] == []
