"""Serves what a config adds, beside the workflows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import anyio
import mcp.types as types
from mcp.server import Server
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from agentflow.errors import InputError
from agentflow_mcp import states
from agentflow_mcp.additions import Added, Additions, Change, Handler
from agentflow_mcp.catalogue import checker
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol.client import Context, principal
from agentflow_mcp.protocol.listening import GROUP, MOST, place_of
from agentflow_mcp.protocol.shapes import result_of
from agentflow_mcp.results import defect, refused

COMPLETION: Final = "completion/complete"
_log = logging.getLogger("agentflow.mcp")


def serve_added(server: Server[dict[str, Any]], desk: Desk, added: Additions) -> None:
    """Serve additions; those of the server itself go first.

    Raises:
        InputError: a tool has the name of another one.
    """
    for name in added.tools:
        if desk.has(name):
            raise InputError(f'the tool "{name}" that the config adds has the name of another one')
    gate = _Gate(desk)
    _serve_tools(server, desk, added, gate)
    _list_also(server, "prompts/list", lambda: types.ListPromptsResult(prompts=_listed(added.prompts)), "prompts")
    _do_also(server, "prompts/get", types.GetPromptRequestParams, _by_name(added.prompts), gate)
    _serve_resources(server, added, gate)
    for method, each in added.requests.items():
        if method == COMPLETION:
            _do_also(server, method, types.CompleteRequestParams, _completed(added, each), gate)
        else:
            server.add_request_handler(method, each.listed, gate.around(method, each.do))


def _completed(added: Additions, each: Added[Any]) -> Any:
    """Return what finds the function that completes arguments: of what was added, and of nothing else."""

    def find(params: types.CompleteRequestParams) -> tuple[str, Handler] | None:
        ref = params.ref
        known = ref.name in added.prompts if isinstance(ref, types.PromptReference) else ref.uri in added.templates
        return (COMPLETION, each.do) if known else None

    return find


def _listed(added: Mapping[str, Added[Any]]) -> list[Any]:
    return [each.listed for each in added.values()]


def _by_name(added: Mapping[str, Added[Any]]) -> Any:
    def find(params: Any) -> tuple[str, Handler] | None:
        each = added.get(params.name)
        return None if each is None else (params.name, each.do)

    return find


def _serve_resources(server: Server[dict[str, Any]], added: Additions, gate: _Gate) -> None:
    def find(params: types.ReadResourceRequestParams) -> tuple[str, Handler] | None:
        uri = str(params.uri)
        do = added.reader(uri)
        return None if do is None else (uri, do)

    def resources() -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=_listed(added.resources))

    def templates() -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=_listed(added.templates))

    _list_also(server, "resources/list", resources, "resources")
    _list_also(server, "resources/templates/list", templates, "resource_templates")
    _do_also(server, "resources/read", types.ReadResourceRequestParams, find, gate)
    subscribed = _Subscribed(find)
    subscribed.serve(server)
    added.watchers.append(subscribed.updated)


class _Subscribed:
    """Which sessions, of the protocol before 2026-07-28, want to know of changes of added resources."""

    def __init__(self, find: Any) -> None:
        self._find = find
        self._known: dict[tuple[str, str], Context] = {}

    def serve(self, server: Server[dict[str, Any]]) -> None:
        """Take subscriptions to added resources; others are the server's."""
        for method, kind, do in (
            ("resources/subscribe", types.SubscribeRequestParams, self._subscribe),
            ("resources/unsubscribe", types.UnsubscribeRequestParams, self._unsubscribe),
        ):
            entry = server.get_request_handler(method)
            server.add_request_handler(method, kind, self._before(do, entry.handler if entry is not None else None))

    def _before(self, do: Callable[[Context, str], None], other: Handler | None) -> Handler:
        async def done(ctx: Context, params: Any) -> Any:
            if self._find(params) is not None:
                do(ctx, str(params.uri))
                return types.EmptyResult()
            if other is None:
                raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": str(params.uri)})
            return await other(ctx, params)

        return done

    def _subscribe(self, ctx: Context, uri: str) -> None:
        if len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[place_of(ctx, uri)] = ctx

    def _unsubscribe(self, ctx: Context, uri: str) -> None:
        self._known.pop(place_of(ctx, uri), None)

    def updated(self, change: Change) -> None:
        for place, ctx in list(self._known.items()):
            if change.kind == "resource" and place[1] == change.uri:
                ctx.lifespan_context[GROUP].start_soon(self._tell, place, ctx)

    async def _tell(self, place: tuple[str, str], ctx: Context) -> None:
        try:
            await ctx.session.send_resource_updated(place[1])
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):  # it has gone
            self._known.pop(place, None)


class _Gate:
    """Stands around functions of a config: nothing that they give or raise tells a secret, and states are sealed."""

    def __init__(self, desk: Desk) -> None:
        self._engine = desk.engine
        self._redactor = desk.engine.config.redactor

    def around(self, name: str, do: Handler, *, tool: bool = False) -> Handler:
        async def done(ctx: Context, params: Any) -> Any:
            try:
                return self._out(ctx, name, params, await do(ctx, self._in(ctx, name, params)))
            except MCPError as error:
                raise MCPError(
                    error.code, self._redactor.text(error.message), self._redactor.value(error.data)
                ) from None
            except Exception as error:  # whatever it is, the client hears of it, and the server goes on
                _log.exception("%s failed", name)
                found = refused(defect(error, self._redactor)).without_secrets(self._redactor)
                if tool:
                    return result_of(found)
                raise MCPError(types.INTERNAL_ERROR, found.text) from None

        return done

    def _in(self, ctx: Context, name: str, params: Any) -> Any:
        state = getattr(params, "request_state", None)
        if state is None:
            return params
        found = states.opened(self._engine, name, _arguments(params), principal(ctx), state)
        if found is None:
            raise MCPError(types.INVALID_PARAMS, "Invalid or expired requestState")
        return params.model_copy(update={"request_state": found})

    def _out(self, ctx: Context, name: str, params: Any, result: Any) -> Any:
        if self._redactor and isinstance(result, BaseModel):
            told = self._redactor.value(result.model_dump(mode="json", by_alias=True, exclude_none=True))
            result = type(result).model_validate(told)
        if isinstance(result, types.InputRequiredResult) and result.request_state is not None:
            sealed = states.seal(self._engine, name, _arguments(params), principal(ctx), result.request_state)
            result = result.model_copy(update={"request_state": sealed})
        return result


def _arguments(params: Any) -> Mapping[str, Any]:
    return getattr(params, "arguments", None) or {}


def _serve_tools(server: Server[dict[str, Any]], desk: Desk, added: Additions, gate: _Gate) -> None:
    _list_also(server, "tools/list", lambda: types.ListToolsResult(tools=_listed(added.tools)), "tools")
    known = server.get_tool_input_schema

    def schema(name: str) -> Mapping[str, Any] | None:
        each = added.tools.get(name)
        return each.listed.input_schema if each is not None else known(name) if known is not None else None

    server.get_tool_input_schema = schema
    checks: dict[str, Callable[[Any], list[str]]] = {}

    def checked(name: str, each: Added[types.Tool]) -> Handler:
        async def done(ctx: Context, params: types.CallToolRequestParams) -> Any:
            if name not in checks:
                checks[name] = checker(each.listed.input_schema)
            problems = checks[name](params.arguments or {})
            if problems:
                what = f"the arguments of {name} don't fit: {'; '.join(problems)}"
                return result_of(refused(InputError(what, hint="correct them and call again; nothing was done")))
            return await each.do(ctx, params)

        return done

    def find(params: types.CallToolRequestParams) -> tuple[str, Handler] | None:
        each = None if desk.has(params.name) else added.tools.get(params.name)
        return None if each is None else (params.name, checked(params.name, each))

    _do_also(server, "tools/call", types.CallToolRequestParams, find, gate, tool=True)


def _list_also(server: Server[dict[str, Any]], method: str, more: Callable[[], Any], field: str) -> None:
    """Let a list have more items, after its own ones; tools stand in the order of their names."""
    entry = server.get_request_handler(method)

    async def listed(ctx: Context, params: types.PaginatedRequestParams) -> Any:
        if entry is None:
            return more().model_copy(update={"ttl_ms": 0, "cache_scope": "private"})
        own: Any = await entry.handler(ctx, params)
        items = [*getattr(own, field), *getattr(more(), field)]
        return own.model_copy(update={field: sorted(items, key=lambda each: each.name) if field == "tools" else items})

    server.add_request_handler(method, types.PaginatedRequestParams, listed)


def _do_also(
    server: Server[dict[str, Any]], method: str, kind: type[BaseModel], find: Any, gate: _Gate, *, tool: bool = False
) -> None:
    """Let a method know more names."""
    entry = server.get_request_handler(method)

    async def done(ctx: Context, params: Any) -> Any:
        found = find(params)
        if found is not None:
            return await gate.around(*found, tool=tool)(ctx, params)
        if entry is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown name: {params.name}")
        return await entry.handler(ctx, params)

    server.add_request_handler(method, kind, done)
