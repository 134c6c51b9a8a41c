"""One connection to a server: opened by the first call, shared by all of this process, opened again when it dies."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, Literal

import anyio
import mcp.types as types
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.session import ClientRequestContext, ClientSession
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError

from agentflow.definition.json_schema import errors_of, make_validator
from agentflow.errors import Defect
from agentflow_mcp.client.asked import Asked, Calls
from agentflow_mcp.client.faults import from_opening, result_unfit
from agentflow_mcp.client.settings import Server
from agentflow_mcp.client.stderr import Tail
from agentflow_mcp.client.unreadable import error_for

TASKS: Final = "io.modelcontextprotocol/tasks"
LONGEST_BACK_OFF = 30.0
OPENING = 60.0
"""Seconds that a server gets to start and to say what it can."""
LISTING = 20.0
"""Seconds that a server gets to list its tools anew."""
MOST_PAGES = 1000

logging.getLogger("mcp").addHandler(logging.NullHandler())  # else what a server says wrongly stands on stderr
logging.getLogger("client").addHandler(logging.NullHandler())


class Task(types.Result):
    """A call that goes on as a task."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    status_message: str | None = None
    ttl_ms: float | None = None
    poll_interval_ms: float | None = None


class Tasks(ClientExtension):
    """Says that we know tasks. Calls take theirs themselves: nothing is resolved behind them."""

    identifier = TASKS

    def claims(self) -> list[ResultClaim[Any]]:
        """Claim the results that are tasks."""
        return [ResultClaim(result_type="task", model=Task, resolve=_unresolved)]


async def _unresolved(task: Task, ctx: ClaimContext) -> types.CallToolResult:
    raise RuntimeError(f"task {task.task_id} isn't followed here")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as its server lists it."""

    name: str
    description: str
    input_schema: Mapping[str, Any]
    task_support: str | None = None
    """Of the older protocol: whether calls may go on as tasks."""
    output_schema: Mapping[str, Any] | None = None

    def misfits(self, arguments: Mapping[str, Any]) -> list[str]:
        """Return what of the arguments doesn't fit; nothing where the schema itself can't be used."""
        try:
            validator = make_validator(dict(self.input_schema))
        except ValueError:
            return []
        return errors_of(validator, dict(arguments))


class Live:
    """A connection while it lives. The SDK's client is entered and left in a task of its own."""

    def __init__(
        self, server: Server, transport: Callable[[Tail], AbstractAsyncContextManager[Any]], tail: Tail
    ) -> None:
        """Begin to open it."""
        self.server = server
        self.calls = Calls()
        self.tools: dict[str, Tool] = {}
        self.stale = False
        """Whether the server has said that its list of tools is another now."""
        self.tail = tail
        self._ended = False
        self._error: BaseException | None = None
        self._client: Client | None = None
        self._ready = asyncio.Event()
        self._stop = asyncio.Event()
        # a context of its own: it outlives the step that has opened it
        self._task = asyncio.get_running_loop().create_task(self._run(transport), context=contextvars.Context())

    @property
    def ended(self) -> bool:
        """Whether it can't be used any more."""
        return self._ended or self._stop.is_set()

    @property
    def session(self) -> ClientSession:
        """The SDK's session."""
        if self._client is None:
            raise Defect("a connection is used before it is open")
        return self._client.session

    @property
    def older(self) -> bool:
        """Whether the server speaks the protocol of before 2026-07-28."""
        return self._client is not None and self._client.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS

    @property
    def older_tasks(self) -> bool:
        """Whether it has the tasks of 2025-11-25."""
        capabilities = self._client.server_capabilities if self._client is not None and self.older else None
        tasks = capabilities.tasks if capabilities is not None else None
        return tasks is not None and tasks.requests is not None and tasks.requests.tools is not None

    async def opened(self) -> None:
        """Wait until it can be used.

        Raises:
            StepError: it can't be opened.
        """
        await self._ready.wait()
        if self._error is not None:
            raise from_opening(self.server, self._error, self.tail.text)

    async def aclose(self) -> None:
        """Close it; a program is ended."""
        self._ended = True
        self._stop.set()
        if not self._ready.is_set():
            self._task.cancel()
        await asyncio.wait([self._task])

    def leave(self) -> None:
        """Close it soon."""
        self._ended = True
        self._stop.set()

    async def renew(self) -> None:
        """Ask for the tools again. Those that are known stay where the server doesn't answer: others wait meanwhile."""
        with anyio.move_on_after(LISTING):
            await self.list()

    async def list(self) -> None:
        """Ask for the tools."""
        self.stale = False
        found: dict[str, Tool] = {}
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = await self.session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
            for tool in page.tools:
                support = tool.execution.task_support if tool.execution is not None else None
                found[tool.name] = Tool(
                    tool.name, tool.description or "", tool.input_schema, support, tool.output_schema
                )  # fmt: skip
            cursor = page.next_cursor
            if cursor is None:
                break
        self.tools = found

    async def _run(self, transport: Callable[[Tail], AbstractAsyncContextManager[Any]]) -> None:
        try:
            client = Client(
                _Watched(transport(self.tail), self._stop, program=self.server.url is None),
                elicitation_callback=self._asked,
                message_handler=self._heard,
                client_info=types.Implementation(name="agentflow", version=version("agentflow-workflows")),
                extensions=[Tasks()],
                cache=None,
            )
            with anyio.fail_after(OPENING) as opening:
                async with client:
                    self._client = client
                    # the SDK's own check takes patterns that never come to an end, and all steps stand still meanwhile
                    client.session.validate_tool_result = self._check_result
                    if client.server_capabilities.tools is not None:
                        await self.list()
                    opening.deadline = float("inf")
                    self._ready.set()
                    await self._stop.wait()
                    self._ended = True
        except BaseException as error:  # whoever waits is told; nobody awaits the task itself
            if not self._ready.is_set():
                self._error = error
        finally:
            self._ended = True
            self._ready.set()
            self.calls.end()

    async def _check_result(self, name: str, result: types.CallToolResult) -> None:
        """Check a result by the schema that its tool promises; raises StepError."""
        known = self.tools.get(name)
        schema = known.output_schema if known is not None else None
        if schema is None:
            return
        if "structured_content" not in result.model_fields_set:
            raise result_unfit(name, "it has no structured content, which the tool's output schema promises")
        try:
            misfits = errors_of(make_validator(dict(schema)), result.structured_content)
        except ValueError as error:
            raise result_unfit(name, f"the tool's output schema isn't valid: {error}") from error
        if misfits:
            raise result_unfit(name, f"it doesn't fit the tool's output schema: {'; '.join(misfits[:5])}")

    async def _asked(self, context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        url = params.url if isinstance(params, types.ElicitRequestURLParams) else None
        schema = params.requested_schema if isinstance(params, types.ElicitRequestFormParams) else None
        reply = await self.calls.ask(Asked(params.message, schema, url))
        return types.ElicitResult.model_validate(reply)

    async def _heard(self, message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self.stale = True


class _Watched:
    """A transport that says when the other side has gone."""

    def __init__(self, inner: AbstractAsyncContextManager[Any], gone: asyncio.Event, *, program: bool) -> None:
        self._inner = inner
        self._gone = gone
        self._program = program

    async def __aenter__(self) -> Any:
        read, write = await self._inner.__aenter__()
        return _Reading(read, self._gone, program=self._program), write

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._inner.__aexit__(*error)


class _Reading:
    """A stream of messages, whose end is told."""

    def __init__(self, inner: Any, gone: asyncio.Event, *, program: bool) -> None:
        self._inner = inner
        self._gone = gone
        self._program = program

    @property
    def last_context(self) -> Any:
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> Any:
        try:
            return self._mended(await self._inner.receive())
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self._gone.set()
            raise

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> _Reading:
        return self

    async def __anext__(self) -> Any:
        try:
            return self._mended(await self._inner.__anext__())
        except StopAsyncIteration:
            self._gone.set()
            raise

    async def __aenter__(self) -> _Reading:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._inner.__aexit__(*error)

    def _mended(self, item: Any) -> Any:
        """Return a message as the SDK takes it."""
        if isinstance(item, ValidationError):
            # else its call would wait for ever
            return error_for(item, "answer", "its answer isn't one of the protocol") or item
        message = getattr(item, "message", None)
        if self._program and isinstance(message, types.JSONRPCError) and message.error.code == types.CONNECTION_CLOSED:
            message.error.code = types.INTERNAL_ERROR  # the server's word: the SDK would take the connection for closed
        # the SDK knows no task of 2025-11-25 as a result of a call
        if isinstance(message, types.JSONRPCResponse) and "task" in message.result and "content" not in message.result:
            message.result["content"] = []
        return item
