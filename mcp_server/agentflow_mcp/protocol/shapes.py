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
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=result.text)],
        structured_content=dict(result.data),
        is_error=result.failed,
        _meta=_meta(result) or None,
    )


def plain_of(result: Result) -> dict[str, Any]:
    """Return a result that asks for nothing as it is written, its fields in the SDK's order."""
    if result.is_task:
        return task_result(result)
    meta = _meta(result)
    return {
        **({"_meta": meta} if meta else {}),
        "content": [{"text": result.text, "type": "text"}],
        "isError": result.failed,
        "resultType": "complete",
        "structuredContent": result.data,
    }


def task_result(result: Result) -> dict[str, Any]:
    return {"resultType": "task", **result.data}


def _meta(result: Result) -> dict[str, Any]:
    run = {RUN_KEY: result.run_id} if result.run_id is not None else {}
    return run if result.usage is None else {**run, USAGE_KEY: dict(result.usage)}


def request_of(request: Request) -> types.ElicitRequest:
    if request.url is not None:
        return types.ElicitRequest(params=types.ElicitRequestURLParams(message=request.message, url=request.url))
    return types.ElicitRequest(
        params=types.ElicitRequestFormParams(message=request.message, requested_schema=dict(request.form or {}))
    )
