"""The extension `io.modelcontextprotocol/tasks`."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import closing
from typing import Any

import mcp.types as types
from mcp.server import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from agentflow.codes import door
from agentflow.errors import AgentflowError, InputError, NotFoundError
from agentflow_mcp import task_calls
from agentflow_mcp.caller import Caller
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol.client import TASKS, Context, caller_of, needs_tasks, takes_tasks
from agentflow_mcp.protocol.shapes import request_of, result_of
from agentflow_mcp.results import told


class TaskParams(types.RequestParams):
    """What `tasks/get` and `tasks/cancel` are given."""

    task_id: str


class UpdateParams(TaskParams):
    """What `tasks/update` is given."""

    input_responses: dict[str, Any]


def serve_tasks(server: Server[dict[str, Any]], desk: Desk) -> None:
    async def get(ctx: Context, params: TaskParams) -> dict[str, Any]:
        return await _carried(ctx, params, task_body(desk, params.task_id, caller_of(ctx)))

    async def update(ctx: Context, params: UpdateParams) -> dict[str, Any]:
        return await _carried(
            ctx, params, task_calls.update(desk.follower, params.task_id, params.input_responses, caller_of(ctx))
        )

    async def cancel(ctx: Context, params: TaskParams) -> dict[str, Any]:
        return await _carried(ctx, params, task_calls.cancel(desk.follower, params.task_id, caller_of(ctx)))

    server.add_request_handler("tasks/get", TaskParams, get)
    server.add_request_handler("tasks/update", UpdateParams, update)
    server.add_request_handler("tasks/cancel", TaskParams, cancel)
    server.extensions[TASKS] = {}


async def _carried(
    ctx: Context, params: TaskParams, work: Coroutine[Any, Any, dict[str, Any] | None]
) -> dict[str, Any]:
    """Do what a client asks of a task, if it has declared that it knows tasks."""
    with closing(work):
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            raise MCPError(types.METHOD_NOT_FOUND, "Method not found")
        if not takes_tasks(ctx):
            raise needs_tasks(ctx.method)
        _check_name(ctx, params.task_id)
        try:
            return {"resultType": "complete", **(await work or {})}
        except NotFoundError:
            raise MCPError(types.INVALID_PARAMS, "Task not found") from None
        except AgentflowError as error:
            what = told(error)
            raise MCPError(_code(error), what.text, {"error": what.data}) from None


def _check_name(ctx: Context, task_id: str) -> None:
    """Refuse a request over HTTP whose header names another task than it does: proxies go by the header."""
    if ctx.request is not None and decode_header_value(ctx.request.headers.get(MCP_NAME_HEADER)) != task_id:
        raise MCPError(types.HEADER_MISMATCH, f"the header {MCP_NAME_HEADER} has to name the task: {task_id}")


def _code(error: AgentflowError) -> int:
    return types.INVALID_PARAMS if isinstance(error, InputError) else door(error.code).json_rpc


async def task_body(desk: Desk, task_id: str, caller: Caller) -> dict[str, Any]:
    """Return a task with what is asked and its result; raises NotFoundError."""
    task = await task_calls.get(desk.follower, task_id, caller)
    data = dict(task.data)
    if task.result is not None:
        result = result_of(task.result.without_secrets(desk.engine.config.redactor))
        data["result"] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    if task.requests:
        data["inputRequests"] = {
            name: request_of(each).model_dump(mode="json", by_alias=True, exclude_none=True)
            for name, each in task.requests.items()
        }
    return data
