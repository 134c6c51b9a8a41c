"""What the SDK's transports leave to the server: the form of requests, where a stream goes on, callers that leave."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentflow.server.bodies import DEPTH, is_deeper, read
from agentflow.server.who import principal_of
from agentflow_a2a.operations import CALLER, Caller, caller_of
from agentflow_a2a.told import OURS, TASKS

_RPC = ("application/json",)
_REST = ("application/json", "application/a2a+json")
_LIST = re.compile(rb'"(?:ListTasks)"')
_INVALID, _CONTENT = -32600, -32005


class Edge:
    """Stands before an agent's routes."""

    def __init__(self, app: ASGIApp, largest: int) -> None:
        """Let through what is well formed.

        Args:
            app: the routes.
            largest: bytes that a request may have.
        """
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        request = Request(scope)

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        caller = replace(caller_of(request.headers, principal_of(scope)), gone=gone)
        scope[CALLER] = caller
        body = b""
        if request.method == "POST":
            given = await read(receive, self._largest)
            if given is None:
                return
            refused = _too_large(request) if len(given) > self._largest else _malformed(request, given)
            if refused is not None:
                await refused(scope, receive, send)
                return
            body = given
        elif (state := request.query_params.get("status")) and request.url.path.endswith("/tasks") and _unknown(state):
            await _rest_error(400, "INVALID_ARGUMENT", f'status: there is no state "{state}"')(scope, receive, send)
            return
        await _Exchange(scope, receive, send, caller, body).run(self._app)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, caller: Caller, body: bytes) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._caller = caller
        self._body: bytes | None = body
        self._streams = False

    async def run(self, app: ASGIApp) -> None:
        await app(self._scope, self._take, self._give)

    async def _take(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def _give(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: list[tuple[bytes, bytes]] = list(message["headers"])
            self._streams = any(k == b"content-type" and v.startswith(b"text/event-stream") for k, v in headers)
            if TASKS in _extensions(self._scope):
                message = {**message, "headers": [*headers, (b"a2a-extensions", TASKS.encode())]}
        elif self._streams and message.get("body", b"").startswith(b"data:"):
            generation = self._caller.mark.generation
            if generation is not None:
                message = {**message, "body": b"id: %d\r\n%b" % (generation, message["body"])}
        await self._send(message)


def _extensions(scope: Scope) -> list[str]:
    values = (v.decode("latin-1") for k, v in scope["headers"] if k in (b"a2a-extensions", b"x-a2a-extensions"))
    return [name.strip() for value in values for name in value.split(",")]


def _malformed(request: Request, body: bytes) -> Response | None:
    """Return what a request is refused with, if its form is wrong."""
    rest = "/rest/" in request.url.path
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    allowed = _REST if rest else _RPC
    if media not in allowed and (body or media):
        text = f'Content-Type is "{media}"; send {" or ".join(allowed)}'
        return (
            _rest_error(415, "INVALID_ARGUMENT", text, "CONTENT_TYPE_NOT_SUPPORTED")
            if rest
            else _rpc_error(body, _CONTENT, text, 415)
        )
    if is_deeper(body):
        text = f"the JSON is deeper than {DEPTH} levels"
        return _rest_error(400, "INVALID_ARGUMENT", text) if rest else _rpc_error(b"", _INVALID, text)
    if not rest and _LIST.search(body) and _unknown(state := _asked_state(body)):
        return _rpc_error(body, -32602, f'status: there is no state "{state}"')
    if not rest and body and b'"id"' not in body and b'"method"' in body:
        return _rpc_error(b"", _INVALID, "a request needs an id: its answer is told by it")
    return None


def _unknown(state: object) -> bool:
    return isinstance(state, str) and state not in ("", "TASK_STATE_UNSPECIFIED") and state not in OURS


def _asked_state(body: bytes) -> Any:
    try:
        params = json.loads(body)["params"]
        return params.get("status")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _too_large(request: Request) -> Response:
    text = "the request is too large"
    if "/rest/" in request.url.path:
        return _rest_error(413, "INVALID_ARGUMENT", text)
    return _rpc_error(b"", _INVALID, text, 413)


def _rpc_error(body: bytes, code: int, message: str, status: int = 200) -> Response:
    try:
        name = json.loads(body)["id"] if body else None
    except (ValueError, KeyError, TypeError):
        name = None
    error = {"code": code, "message": message, "data": [_info(_REASONS[code])]}
    return JSONResponse({"jsonrpc": "2.0", "id": name, "error": error}, status)


_REASONS = {_INVALID: "INVALID_REQUEST", _CONTENT: "CONTENT_TYPE_NOT_SUPPORTED", -32602: "INVALID_PARAMS"}


def _rest_error(code: int, status: str, message: str, reason: str = "INVALID_REQUEST") -> Response:
    return JSONResponse(
        {"error": {"code": code, "status": status, "message": message, "details": [_info(reason)]}},
        code,
        media_type="application/a2a+json",
    )


def _info(reason: str) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "a2a-protocol.org",
        "metadata": {},
    }
