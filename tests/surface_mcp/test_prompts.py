"""Workflows that have a prompt offer it; what completes arguments shows what there is, and only what is one's own."""

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
from agentflow.principal import Principal
from agentflow_mcp import resources
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.following import Follower
from agentflow_mcp.protocol import make_server

pytestmark = pytest.mark.anyio

CONFIG = """\
workflows:
  hidden: {mcp: {expose: false, prompt: Never}, steps: [{id: s, type: set, value: 1}]}
  plain: {steps: [{id: s, type: set, value: 1}]}
  report:
    label: Report
    description: Writes a report.
    input:
      region: {enum: [north, south], description: Of the sales}
      title: {type: string?}
    mcp: {prompt: "Write the report of {input.region}. {input.title?} Call the tool report."}
    steps: [{id: s, type: set, value: 1}]
"""


@asynccontextmanager
async def served(mode: Any = "2026-07-28", config: str = CONFIG) -> AsyncGenerator[tuple[Client, Engine]]:
    """Return a client, and the engine of its server."""
    async with (
        Engine.open(":memory:", config=load_text(config)) as engine,
        Client(make_server(Desk(engine, CONTROLS, hold=60), "prompts"), mode=mode) as client,
    ):
        yield client, engine


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
async def test_a_workflow_with_a_prompt_offers_it_with_its_inputs(mode: str) -> None:
    async with served(mode) as (client, _):
        [prompt] = (await client.list_prompts()).prompts
        assert (prompt.name, prompt.title, prompt.description) == ("report", "Report", "Writes a report.")
        told = [(each.name, each.description, each.required) for each in prompt.arguments or ()]
        assert told == [("region", "Of the sales", True), ("title", None, False)]
        filled = await client.get_prompt("report", {"region": "north"})
        [message] = filled.messages
        assert isinstance(message.content, types.TextContent)
        assert message.content.text == "Write the report of north.  Call the tool report."


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("report", {}, "needs: region"),
        ("report", {"region": "north", "more": "x"}, "takes: region, title"),
        ("hidden", {}, "Unknown prompt"),
        ("plain", {}, "Unknown prompt"),
    ],
)
async def test_a_prompt_that_cannot_be_filled_is_refused(name: str, arguments: dict[str, str], said: str) -> None:
    async with served() as (client, _):
        with pytest.raises(MCPError, match=said) as caught:
            await client.get_prompt(name, arguments)
        assert caught.value.error.code == types.INVALID_PARAMS


async def test_where_no_workflow_has_a_prompt_none_are_offered() -> None:
    async with served(config="workflows: {w: {steps: [{id: s, type: set, value: 1}]}}") as (client, _):
        assert client.server_capabilities is not None
        assert client.server_capabilities.prompts is None


async def test_arguments_are_completed_by_choices_names_and_ids() -> None:
    async with served() as (client, engine):
        run = await engine.start("plain")
        for ref, name, begun, found in (
            (types.PromptReference(name="report"), "region", "n", ["north"]),
            (types.PromptReference(name="report"), "title", "", []),
            (types.PromptReference(name="nothing"), "region", "", []),
            (types.ResourceTemplateReference(uri="agentflow://workflows/{name}"), "name", "", ["plain", "report"]),
            (types.ResourceTemplateReference(uri="agentflow://runs/{task_id}"), "task_id", run.id[:5], [run.id]),
            (types.ResourceTemplateReference(uri="file:///{x}"), "x", "", []),
        ):
            done = await client.complete(ref, {"name": name, "value": begun})
            assert done.completion.values == found
        template, stranger = "agentflow://runs/{task_id}", Principal("stranger")
        follower = Follower(engine, 0)
        assert await resources.completed(follower, template, "task_id", "", stranger) == []
