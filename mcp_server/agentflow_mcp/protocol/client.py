"""Who calls, and what its client has said that it can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import mcp.types as types
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from agentflow.data import is_object
from agentflow.engine import Answer, Decline, Run
from agentflow.errors import AgentflowError
from agentflow.ids import new_id
from agentflow.principal import LOCAL, Principal
from agentflow.server.who import principal_of
from agentflow_mcp.asking import Asking, Opened, Reply, Request, plain_choices
from agentflow_mcp.caller import Caller
from agentflow_mcp.replies import meta_key

TASKS: Final = "io.modelcontextprotocol/tasks"
BEGUN: Final = "agentflow.mcp.begun"
"""Key of the run in a request's state that was started for it."""
Context: TypeAlias = ServerRequestContext[dict[str, Any]]


def principal(ctx: Context) -> Principal:
    """Return who asks: over HTTP whom the server lets in, otherwise this machine's user."""
    return LOCAL if ctx.request is None else principal_of(ctx.request.scope)


class Abilities(NamedTuple):
    """What a client has declared that it can."""

    tasks: bool
    """Takes a task for a result, and follows that itself."""
    forms: bool
    """Shows forms."""
    pages: bool
    """Takes its user to pages."""
    rounds: bool
    """Takes what is asked for a result, and goes on with the call when it has the answers."""


def abilities(declared: types.ClientCapabilities | None, version: str) -> Abilities:
    """Return what a client can that has declared something in a version of the protocol."""
    if declared is None:
        return Abilities(tasks=False, forms=False, pages=False, rounds=False)
    modern, shown = version in MODERN_PROTOCOL_VERSIONS, declared.elicitation
    forms = shown is not None and (shown.form is not None or shown.url is None)
    pages = shown is not None and shown.url is not None
    tasks = modern and TASKS in (declared.extensions or {})
    return Abilities(tasks, forms, pages, rounds=modern and (forms or pages))


def takes_tasks(ctx: Context) -> bool:
    return abilities(ctx.session.client_capabilities, ctx.protocol_version).tasks


def needs_tasks(what: str) -> MCPError:
    """Return the error of what is only for clients with tasks."""
    needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    return MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, f"{what} needs {TASKS}", needed)


def caller_of(ctx: Context, key: str | None = None) -> Caller:
    """Return who makes a call, and what its client can do.

    Args:
        ctx: of the call.
        key: its idempotency key.
    """
    can = abilities(ctx.session.client_capabilities, ctx.protocol_version)
    return Caller(
        principal(ctx), progress(ctx), hears(ctx), asking(ctx) if can.forms or can.pages else None, key,
        tasks=can.tasks, forms=can.forms, pages=can.pages, rounds=can.rounds,
    )  # fmt: skip


def begun(ctx: Context) -> Run | None:
    """Return the run that was started for a call before it came to the SDK; None: none was."""
    return None if ctx.request is None else ctx.request.scope["state"].get(BEGUN)


def hears(ctx: Context) -> bool:
    """Tell whether a client wants to be told of progress."""
    return is_object(ctx.meta) and ctx.meta.get("progress_token", ctx.meta.get("progressToken")) is not None


def key_of(ctx: Context) -> str | None:
    """Return the idempotency key of a call; an error of the protocol where it is none."""
    try:
        return meta_key(ctx.meta)
    except AgentflowError as error:
        raise MCPError(types.INVALID_PARAMS, error.what) from None


def asking(ctx: Context, meta: Mapping[str, Any] | None = None) -> Asking | None:
    """Return what asks the client's user at any time; None where a client is only asked by what a call gives.

    Args:
        ctx: of the call.
        meta: what requests have besides.
    """
    if ctx.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS:
        return None
    titled = ctx.protocol_version >= "2025-11-25"
    related = ServerMessageMetadata(related_request_id=ctx.request_id)

    async def ask(request: Request) -> Reply:
        more: Any = None if meta is None else dict(meta)
        params: types.ElicitRequestFormParams | types.ElicitRequestURLParams
        if request.url is not None:
            params = types.ElicitRequestURLParams(
                message=request.message, url=request.url, elicitation_id=new_id(), _meta=more
            )
        else:
            shown = dict(request.form or {}) if titled else plain_choices(request.form or {})
            params = types.ElicitRequestFormParams(message=request.message, requested_schema=shown, _meta=more)
        try:
            asked = types.ElicitRequest(params=params)
            reply = await ctx.session.send_request(asked, types.ElicitResult, metadata=related)
        except MCPError:  # it can't, whatever it has declared: there is a handle for that
            return None
        return _said(reply, Opened() if request.url is not None else Answer(reply.content or {}))

    return ask


def _said(reply: types.ElicitResult, accepted: Reply) -> Reply:
    if reply.action == "accept":
        return accepted
    return Decline("declined by the user") if reply.action == "decline" else None


def progress(ctx: Context) -> Any:
    told = 0

    async def progress(message: str | None) -> None:
        nonlocal told
        told += 1
        await ctx.session.report_progress(told, None, message)

    return progress
