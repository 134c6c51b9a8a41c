"""What goes to a server and comes back, in the SDK's terms: calls, and the tasks that calls become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

import mcp.types as types
from pydantic import ConfigDict, TypeAdapter

from agentflow.data import is_object
from agentflow_mcp.client.asked import Asked, Call
from agentflow_mcp.client.connection import Live, Task
from agentflow_mcp.client.faults import result_unfit
from agentflow_mcp.client.states import Question

IDEMPOTENCY_KEY = "agentflow/idempotency-key"
"""Where a call's `_meta` carries the key that is the same for every attempt of its step."""

Answer: TypeAlias = types.CallToolResult | types.InputRequiredResult | Task


class OlderTask(types.Result):
    """A task of 2025-11-25."""

    task_id: str
    status: str
    status_message: str | None = None
    poll_interval: float | None = None


class _Created(types.Result):
    task: OlderTask


class State(types.Result):
    """How a task is."""

    model_config = ConfigDict(extra="allow")

    task_id: str
    status: str
    status_message: str | None = None
    poll_interval_ms: float | None = None
    poll_interval: float | None = None
    input_requests: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    @property
    def pause(self) -> float | None:
        """Seconds after which it may be asked for again."""
        found = self.poll_interval_ms if self.poll_interval_ms is not None else self.poll_interval
        return None if found is None else max(0.0, found / 1000)


class _TaskParams(types.RequestParams):
    task_id: str


class _UpdateParams(_TaskParams):
    input_responses: dict[str, Any]


class _Get(types.Request[_TaskParams, Literal["tasks/get"]]):
    name_param: ClassVar[str | None] = "taskId"
    method: Literal["tasks/get"] = "tasks/get"
    params: _TaskParams


class _Cancel(types.Request[_TaskParams, Literal["tasks/cancel"]]):
    name_param: ClassVar[str | None] = "taskId"
    method: Literal["tasks/cancel"] = "tasks/cancel"
    params: _TaskParams


class _Update(types.Request[_UpdateParams, Literal["tasks/update"]]):
    name_param: ClassVar[str | None] = "taskId"
    method: Literal["tasks/update"] = "tasks/update"
    params: _UpdateParams


class _Result(types.Request[_TaskParams, Literal["tasks/result"]]):
    method: Literal["tasks/result"] = "tasks/result"
    params: _TaskParams


async def send(
    live: Live,
    call: Call,
    tool: str,
    arguments: Mapping[str, Any],
    *,
    key: str,
    timeout: float | None,  # noqa: ASYNC109  the protocol's: the server is told
    replies: Mapping[str, Mapping[str, Any]] | None = None,
    request_state: str | None = None,
) -> Answer:
    """Call a tool once.

    Args:
        live: the connection.
        call: the call that this is of.
        tool: the tool's name.
        arguments: its arguments.
        key: tells a server that knows such keys that it is the same call.
        timeout: seconds that the server has.
        replies: what was answered to what it has asked.
        request_state: what it wants back with them.

    Raises:
        MCPError: it has no result.
        RuntimeError: the result isn't what the tool promises.
    """
    responses: Any = None
    if replies and not live.older:
        responses = {key: types.ElicitResult.model_validate(reply) for key, reply in replies.items()}
    meta: Any = {IDEMPOTENCY_KEY: key}
    known = live.tools.get(tool)
    if live.older_tasks and known is not None and known.task_support in ("optional", "required"):
        return await _as_task(live, tool, arguments, meta)

    async def told(progress: float, total: float | None, message: str | None) -> None:
        if call.progress is not None:
            call.progress(min(1.0, progress / total) if total else None, message or "")

    found = await live.session.call_tool(
        tool,
        dict(arguments),
        timeout,
        progress_callback=told,
        input_responses=responses,
        request_state=request_state,
        meta=meta,
        allow_input_required=True,
        allow_claimed=True,
    )
    if isinstance(found, types.CallToolResult | types.InputRequiredResult | Task):
        return found
    raise result_unfit(tool, "its kind isn't known")


async def _as_task(live: Live, tool: str, arguments: Mapping[str, Any], meta: Any) -> Task:
    """Have a call go on as a task, as 2025-11-25 has it."""
    request = types.CallToolRequest(
        params=types.CallToolRequestParams(name=tool, arguments=dict(arguments), task=types.TaskMetadata(), _meta=meta)
    )
    made = (await live.session.send_request(request, _Created)).task
    return Task(task_id=made.task_id, status=made.status, status_message=made.status_message)


async def look(live: Live, task: str) -> State:
    """Ask how a task is."""
    return await live.session.send_request(_Get(params=_TaskParams(task_id=task)), State)


async def update(live: Live, task: str, replies: Mapping[str, Mapping[str, Any]]) -> None:
    """Give a task answers."""
    params = _UpdateParams(task_id=task, input_responses={key: dict(reply) for key, reply in replies.items()})
    await live.session.send_request(_Update(params=params), types.EmptyResult)


async def cancel(live: Live, task: str) -> None:
    """Have a task cancelled."""
    await live.session.send_request(_Cancel(params=_TaskParams(task_id=task)), types.Result)


async def older_result(live: Live, task: str) -> types.CallToolResult:
    """Wait for the result of a task of 2025-11-25; the server asks what it asks meanwhile."""
    return await live.session.send_request(_Result(params=_TaskParams(task_id=task)), types.CallToolResult)


async def checked(live: Live, tool: str, data: Mapping[str, Any]) -> types.CallToolResult:
    """Return a task's result, checked as a call's is.

    Raises:
        ValidationError: it is no result of a call.
        RuntimeError: it isn't what the tool promises.
    """
    found = TypeAdapter(types.CallToolResult).validate_python(dict(data), by_name=False)
    if not found.is_error:
        await live.session.validate_tool_result(tool, found)
    return found


def questions(tool: str, requests: Mapping[str, Any] | None) -> tuple[Question, ...]:
    """Return what a server asks.

    Raises:
        StepError: it asks for what we haven't said that we can.
    """
    return tuple(_question(tool, key, request) for key, request in (requests or {}).items())


def _question(tool: str, key: str, request: Any) -> Question:
    if isinstance(request, types.ElicitRequest):
        request = request.model_dump(mode="json", by_alias=True, exclude_none=True)
    params = request.get("params") if is_object(request) else None
    if not is_object(request) or request.get("method") != "elicitation/create" or not is_object(params):
        raise result_unfit(tool, "it asks for something that agentflow doesn't offer")
    url = params.get("url") if params.get("mode") == "url" else None
    schema = params.get("requestedSchema") if url is None else None
    return Question.of(key, Asked(str(params.get("message", "")), schema if is_object(schema) else None, url))
