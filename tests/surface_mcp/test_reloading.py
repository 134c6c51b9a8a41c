"""A config that is changed while it is served: clients hear of it, and call what there is then."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.subscriptions import PromptsListChanged, ResourcesListChanged, ToolsListChanged

from agentflow import Engine
from agentflow.config.load import load_config
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol import make_server
from agentflow_mcp.reloading import keep_up
from tests.surface_mcp.served import LIMIT, call

pytestmark = pytest.mark.anyio

ONE = "workflows: {one: {steps: [{id: s, type: set, value: 1}]}, old: {steps: [{id: s, type: set, value: 1}]}}\n"
TWO = "workflows: {one: {steps: [{id: s, type: set, value: 2}]}, new: {steps: [{id: s, type: set, value: 3}]}}\n"


@asynccontextmanager
async def served(file: Path) -> AsyncGenerator[Client]:
    """Return a client at a server that keeps up with a file."""
    async with Engine.open(":memory:", config=load_config(file)) as engine, anyio.create_task_group() as group:
        desk = Desk(engine, CONTROLS, hold=60)
        group.start_soon(keep_up, desk, 0.01)
        async with Client(make_server(desk, "kept"), mode="2026-07-28", read_timeout_seconds=LIMIT) as client:
            yield client
        group.cancel_scope.cancel()


async def tools_of(client: Client) -> set[str]:
    """Return the names of the workflows' tools."""
    return {tool.name for tool in (await client.list_tools()).tools} - set(CONTROLS)


async def test_clients_hear_of_a_changed_config_and_call_what_there_is_then(tmp_path: Path) -> None:
    file = tmp_path / "agentflow.yaml"
    file.write_text(ONE, encoding="utf-8")
    async with served(file) as client:
        assert await tools_of(client) == {"one", "old"}
        async with client.listen(
            tools_list_changed=True, prompts_list_changed=True, resources_list_changed=True
        ) as changes:
            file.write_text(TWO, encoding="utf-8")
            with anyio.fail_after(LIMIT):
                heard = [await anext(changes) for _ in range(3)]
        assert {type(each) for each in heard} == {ToolsListChanged, PromptsListChanged, ResourcesListChanged}
        assert await tools_of(client) == {"one", "new"}
        results: list[Any] = [(await call(client, name)).structured_content for name in ("one", "new")]
        assert results == [{"result": 2}, {"result": 3}]
        assert {each.name for each in (await client.list_resources()).resources} == {"one", "new"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workflows: {one: {steps: [{id: s, type: nothing}]}}", "nothing"),
        ("limits: {max_parallel: 3}\n" + TWO, "limits of the config changed"),
        ("workflows: {get_workflow_run: {steps: [{id: s, type: set, value: 1}]}}", "get_workflow_run"),
    ],
)
async def test_a_changed_config_that_cannot_be_taken_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, said: str
) -> None:
    file = tmp_path / "agentflow.yaml"
    file.write_text(ONE, encoding="utf-8")
    async with served(file) as client:
        file.write_text(text, encoding="utf-8")
        with anyio.fail_after(LIMIT):
            while not caplog.records:  # noqa: ASYNC110  a log tells it in no other way
                await anyio.sleep(0.01)
        assert said in caplog.text
        assert await tools_of(client) == {"one", "old"}
        done: Any = (await call(client, "one")).structured_content
        assert done == {"result": 1}
