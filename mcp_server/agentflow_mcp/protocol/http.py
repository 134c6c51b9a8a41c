"""Serves the clients of one agent over HTTP, whichever era of the protocol they speak."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import mcp.types as types
from mcp.server import Server
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from agentflow.server.bodies import DEPTH, is_deeper, read
from agentflow.server.who import principal_of
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol.direct import Direct

LAST: Final = 0.5
"""Seconds that calls get to be answered when the server ends, before their streams do."""


class Endpoint:
    """The ASGI app at an agent's `/mcp`."""

    def __init__(self, server: Server[dict[str, Any]], desk: Desk, largest: int, *, tokens: bool) -> None:
        """Serve a server's clients.

        Args:
            server: answers them.
            desk: carries their calls out.
            largest: bytes that a request may have.
            tokens: whether they bring tokens: a session is its opener's then.
        """
        self._manager = StreamableHTTPSessionManager(server, max_request_body_size=largest)
        self._direct = Direct(server, desk)
        self._largest = largest
        self._tokens = tokens
        self._open: set[anyio.CancelScope] = set()
        self._serves = False

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Take requests."""
        async with self._manager.run():
            self._serves = True
            try:
                yield
            finally:
                self._serves = False

    async def end(self) -> None:
        """Give calls a moment to be answered, then end what is open."""
        await anyio.sleep(LAST)
        for scope in self._open:
            scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if not self._serves:
            why = "the app isn't started: whoever mounts it has to enter `app.router.lifespan_context(app)`"
            await _error(503, types.INTERNAL_ERROR, why)(scope, receive, send)
            return
        body = b""
        if scope["method"] == "POST":
            given = await read(receive, self._largest)
            if given is None:
                return
            refused = _refused(given, self._largest)
            if refused is not None:
                await refused(scope, receive, send)
                return
            body = given
        scope = {**scope, "headers": [(name, value.strip(b" \t")) for name, value in scope["headers"]]}
        if self._tokens:
            scope["user"] = _user(scope)
        stream = anyio.CancelScope()
        self._open.add(stream)
        try:
            with stream:
                if body and await self._direct.answer(scope, body, send):
                    return
                await self._manager.handle_request(scope, _Again(body, receive), send)
        finally:
            self._open.discard(stream)


class _Again:
    """Gives a body that was read, and after it what comes."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            return await self._receive()
        return {"type": "http.request", "body": body, "more_body": False}


def _user(scope: Scope) -> AuthenticatedUser:
    who = principal_of(scope)
    return AuthenticatedUser(AccessToken(token="", client_id=json.dumps([who.tenant, who.owner]), scopes=[]))


def _refused(body: bytes, largest: int) -> JSONResponse | None:
    if len(body) > largest:
        return _error(413, types.INVALID_REQUEST, f"the request is too large: {largest} bytes are the most")
    if is_deeper(body):
        return _error(400, types.PARSE_ERROR, f"the JSON is deeper than {DEPTH} levels")
    return None


def _error(status: int, code: int, message: str) -> JSONResponse:
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}, status)
