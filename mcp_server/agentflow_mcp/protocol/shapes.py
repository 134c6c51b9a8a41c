"""Tools, results and requests in the SDK's shapes."""

from __future__ import annotations

from typing import Any

import mcp.types as types

from agentflow_mcp.asking import Request
from agentflow_mcp.catalogue import Tool
from agentflow_mcp.results import RUN_KEY, USAGE_KEY, Result


def tool_of(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=dict(tool.input_schema),
        output_schema=None if tool.output_schema is None else dict(tool.output_schema),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent,
            open_world_hint=tool.open_world,
        ),
    )


def result_of(result: Result) -> types.CallToolResult:
    meta: dict[str, Any] | None = {RUN_KEY: result.run_id} if result.run_id is not None else None
    if result.usage is not None:
        meta = {**(meta or {}), USAGE_KEY: dict(result.usage)}
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=result.text)],
        structured_content=dict(result.data),
        is_error=result.failed,
        _meta=meta,
    )


def request_of(request: Request) -> types.ElicitRequest:
    if request.url is not None:
        return types.ElicitRequest(params=types.ElicitRequestURLParams(message=request.message, url=request.url))
    return types.ElicitRequest(
        params=types.ElicitRequestFormParams(message=request.message, requested_schema=dict(request.form or {}))
    )
