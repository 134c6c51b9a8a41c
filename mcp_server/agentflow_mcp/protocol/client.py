"""Who calls, and what its client has said that it can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import mcp.types as types
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from agentflow.engine import Answer, Decline
from agentflow.principal import LOCAL, Principal
from agentflow.server.who import principal_of
from agentflow_mcp.asking import Asking, plain_choices

TASKS: Final = "io.modelcontextprotocol/tasks"
Context: TypeAlias = ServerRequestContext[dict[str, Any]]


def principal(ctx: Context) -> Principal:
    """Return who asks: over HTTP whom the server lets in, otherwise this machine's user."""
    return LOCAL if ctx.request is None else principal_of(ctx.request.scope)


def takes_tasks(ctx: Context) -> bool:
    declared = ctx.session.client_capabilities
    modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
    return modern and declared is not None and TASKS in (declared.extensions or {})


def needs_tasks(what: str) -> MCPError:
    """Return the error of what is only for clients with tasks."""
    needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    return MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, f"{what} needs {TASKS}", needed)


def shows_forms(ctx: Context) -> bool:
    declared = ctx.session.client_capabilities
    shown = declared.elicitation if declared is not None else None
    return shown is not None and (shown.form is not None or shown.url is None)


def asking(ctx: Context) -> Asking | None:
    """Return what asks the client's user by a form; None where the client shows none on the stream of a call."""
    if ctx.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS or not shows_forms(ctx):
        return None
    titled = ctx.protocol_version >= "2025-11-25"

    async def ask(message: str, schema: Mapping[str, Any]) -> Answer | Decline | None:
        shown = dict(schema) if titled else plain_choices(schema)
        try:
            reply = await ctx.session.elicit_form(message, shown, related_request_id=ctx.request_id)
        except MCPError:  # it can't, whatever it has declared: there is a handle for that
            return None
        if reply.action == "accept":
            return Answer(reply.content or {})
        return Decline("declined by the user") if reply.action == "decline" else None

    return ask


def progress(ctx: Context) -> Any:
    told = 0

    async def progress(message: str | None) -> None:
        nonlocal told
        told += 1
        await ctx.session.report_progress(told, None, message)

    return progress
