"""Prompts of workflows, and what completes arguments of prompts and addresses."""

from __future__ import annotations

from typing import Any

import mcp.types as types
from mcp.server import Server
from mcp.shared.exceptions import MCPError

from agentflow.errors import InputError
from agentflow_mcp import resources
from agentflow_mcp.desk import Desk
from agentflow_mcp.prompts import MOST, Prompt, choices_of, prompts_of
from agentflow_mcp.protocol.client import Context, principal


def serve_prompts(server: Server[dict[str, Any]], desk: Desk) -> None:
    """Serve the prompts of workflows that have one, and completion."""
    if prompts_of(desk.engine.config):
        _serve_prompts(server, desk)

    async def complete(ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        begun, name = params.argument.value, params.argument.name
        if isinstance(params.ref, types.PromptReference):
            found = choices_of(prompts_of(desk.engine.config), params.ref.name, name, begun)
        else:
            found = await resources.completed(desk.follower, params.ref.uri, name, begun, principal(ctx))
        return types.CompleteResult(completion=types.Completion(values=found[:MOST], has_more=len(found) > MOST))

    server.add_request_handler("completion/complete", types.CompleteRequestParams, complete)


def _listed(prompt: Prompt) -> types.Prompt:
    arguments = [
        types.PromptArgument(name=one.name, description=one.description, required=one.required)
        for one in prompt.arguments
    ]
    return types.Prompt(name=prompt.name, title=prompt.title, description=prompt.description, arguments=arguments)


def _serve_prompts(server: Server[dict[str, Any]], desk: Desk) -> None:
    async def list_all(ctx: Context, params: types.PaginatedRequestParams) -> types.ListPromptsResult:
        return types.ListPromptsResult(
            prompts=[_listed(each) for each in prompts_of(desk.engine.config).values()], ttl_ms=0, cache_scope="private"
        )

    async def get(ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        prompt = prompts_of(desk.engine.config).get(params.name)
        if prompt is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
        try:
            text = prompt.filled(params.arguments or {})
        except InputError as error:
            raise MCPError(types.INVALID_PARAMS, error.what) from None
        message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
        return types.GetPromptResult(description=prompt.description, messages=[message])

    server.add_request_handler("prompts/list", types.PaginatedRequestParams, list_all)
    server.add_request_handler("prompts/get", types.GetPromptRequestParams, get)
