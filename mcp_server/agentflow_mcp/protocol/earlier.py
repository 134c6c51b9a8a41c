"""Tasks as the protocol of 2025-11-25 had them: clients ask for one, and for its result, which waits for the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import mcp.types as types
from mcp.server import Server
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from agentflow.data import is_object
from agentflow.engine import Run
from agentflow.errors import AgentflowError, NotFoundError
from agentflow.store.rows import RunQuery
from agentflow_mcp import task_calls
from agentflow_mcp.desk import Desk
from agentflow_mcp.documents import finished
from agentflow_mcp.protocol.client import Context, asking, caller_of, key_of, principal
from agentflow_mcp.protocol.shapes import result_of
from agentflow_mcp.tasks import Task, task_of

VERSION: Final = "2025-11-25"
RELATED: Final = "io.modelcontextprotocol/related-task"
PAGE: Final = 50
_CAPABILITY: Final[Mapping[str, Any]] = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
_SUPPORT: Final = {"auto": "optional", "task": "required"}
_MODES: Final = ("tasks/get", "tasks/result", "tasks/list", "tasks/cancel")


def serve_earlier_tasks(server: Server[dict[str, Any]], desk: Desk) -> None:
    """Add the tasks of 2025-11-25 to what clients of that protocol are told and may do."""

    async def between(ctx: Context, call_next: CallNext) -> HandlerResult:
        if ctx.method == "initialize":
            return _with_capability(await call_next(ctx))
        if ctx.protocol_version == VERSION:
            if ctx.method == "tools/list":
                return _with_support(await call_next(ctx), desk)
            params: Mapping[str, Any] = ctx.params or {}
            if ctx.method == "tools/call":
                name = params.get("name")
                support = _SUPPORT.get(desk.mode(name)) if isinstance(name, str) and desk.has(name) else None
                if is_object(params.get("task")):
                    return await _begun(ctx, desk, params, support)
                if support == "required":
                    raise MCPError(types.METHOD_NOT_FOUND, f"the tool {name} is called as a task only")
            elif ctx.method in _MODES:
                return await _asked(ctx, desk, params)
        return await call_next(ctx)

    server.middleware.append(between)


def _with_capability(result: HandlerResult) -> HandlerResult:
    if not is_object(result) or result.get("protocolVersion") != VERSION:
        return result
    return {**result, "capabilities": {**result["capabilities"], "tasks": dict(_CAPABILITY)}}


def _with_support(result: HandlerResult, desk: Desk) -> HandlerResult:
    if not is_object(result):
        return result
    tools: list[dict[str, Any]] = result["tools"]
    told = [
        {**tool, "execution": {"taskSupport": support}} if support is not None else tool
        for tool in tools
        for support in (_SUPPORT.get(desk.mode(tool["name"])),)
    ]
    return {**result, "tools": told}


async def _begun(ctx: Context, desk: Desk, raw: Mapping[str, Any], support: str | None) -> dict[str, Any]:
    """Call a tool as a task."""
    try:
        params = types.CallToolRequestParams.model_validate(raw, by_name=False)
    except ValidationError:
        raise MCPError(types.INVALID_PARAMS, "Invalid request parameters") from None
    if not desk.has(params.name):
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
    if support is None or params.task is None:
        raise MCPError(types.METHOD_NOT_FOUND, f"the tool {params.name} isn't called as a task")
    keep = None if params.task.ttl is None else max(params.task.ttl, 0) / 1000
    caller = replace(caller_of(ctx, key_of(ctx)), ask=None, rounds=False, tasks=True, only_task=True, keep=keep)
    result = await desk.call(params.name, params.arguments or {}, caller)
    if not result.is_task:  # no run was started
        return _dumped(result_of(result))
    return {"task": _fields(result.data, failed=False)}


async def _asked(ctx: Context, desk: Desk, params: Mapping[str, Any]) -> dict[str, Any]:
    if ctx.method == "tasks/list":
        return await _listed(ctx, desk, params.get("cursor"))
    task_id = params.get("taskId")
    if not isinstance(task_id, str):
        raise MCPError(types.INVALID_PARAMS, "Invalid request parameters")
    try:
        if ctx.method == "tasks/result":
            return await _result(ctx, desk, task_id)
        if ctx.method == "tasks/cancel":
            await _cancel(ctx, desk, task_id)
        task = await task_calls.get(desk.follower, task_id, caller_of(ctx))
    except NotFoundError:
        raise MCPError(types.INVALID_PARAMS, "Task not found") from None
    except AgentflowError as error:
        raise MCPError(types.INTERNAL_ERROR, error.what) from None
    return _told(task)


async def _cancel(ctx: Context, desk: Desk, task_id: str) -> None:
    run = await desk.engine.get(task_id, output=False, principal=principal(ctx))
    if run.ended:
        raise MCPError(types.INVALID_PARAMS, "the task has ended already")
    await task_calls.cancel(desk.follower, task_id, caller_of(ctx))
    await desk.engine.wait(task_id, 5.0, principal=principal(ctx))


async def _result(ctx: Context, desk: Desk, task_id: str) -> dict[str, Any]:
    """Wait for a task's end, and ask the client's user meanwhile."""
    caller = caller_of(ctx)
    if caller.ask is not None:
        caller = replace(caller, ask=asking(ctx, {RELATED: {"taskId": task_id}}))
    run = await desk.follower.ended(task_id, caller)
    if not run.ended:
        raise MCPError(types.INTERNAL_ERROR, "the server ends: ask it again when it is back")
    result = _dumped(result_of(finished(run).without_secrets(desk.engine.config.redactor)))
    return {**result, "_meta": {**result.get("_meta", {}), RELATED: {"taskId": run.id}}}


async def _listed(ctx: Context, desk: Desk, cursor: object) -> dict[str, Any]:
    if cursor is not None and not isinstance(cursor, str):
        raise MCPError(types.INVALID_PARAMS, "Invalid cursor")
    query = RunQuery(before=cursor, limit=PAGE + 1, agent=desk.engine.config.agent)
    try:
        found = await desk.engine.list(query, principal=principal(ctx))
    except AgentflowError:
        raise MCPError(types.INVALID_PARAMS, "Invalid cursor") from None
    more = {"nextCursor": found[PAGE - 1].id} if len(found) > PAGE else {}
    return {"tasks": [_in_list(run, desk) for run in found[:PAGE]], **more}


def _in_list(run: Run, desk: Desk) -> dict[str, Any]:
    return _told(task_of(run, [], {}, desk.engine.core.env.now()))


def _told(task: Task) -> dict[str, Any]:
    return _fields(task.data, failed=task.result is not None and task.result.failed)


def _fields(data: Mapping[str, Any], *, failed: bool) -> dict[str, Any]:
    names = ("taskId", "status", "statusMessage", "createdAt", "lastUpdatedAt")
    told = {name: data[name] for name in names if name in data}
    return {
        **told, "status": "failed" if failed else data["status"], "ttl": data["ttlMs"],
        "pollInterval": data["pollIntervalMs"],
    }  # fmt: skip


def _dumped(result: types.CallToolResult) -> dict[str, Any]:
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)
