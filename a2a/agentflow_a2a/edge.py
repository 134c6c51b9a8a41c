"""What the SDK's transports leave to the server: the form of requests, where a stream goes on, callers that leave."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentflow.data import is_object
from agentflow.server.bodies import DEPTH, is_deeper, read
from agentflow.server.who import principal_of
from agentflow_a2a import faults
from agentflow_a2a.listing import no_state
from agentflow_a2a.operations import CALLER, Caller, caller_of
from agentflow_a2a.told import OURS, TASKS
from agentflow_a2a.versions import OLD, spoken

_RPC = ("application/json",)
_REST = ("application/json", "application/a2a+json")
_NO_HISTORY = re.compile(rb'"historyLength"\s*:\s*0\b')
_OLD_METHOD = re.compile(rb'"method"\s*:\s*"\w+/')
_VERSION = "A2A-Version"
_LIST = re.compile(rb'"(?:ListTasks)"')
_AFTER, _OURS = b'"after"', TASKS.encode()


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
            refused = refused or _unspoken(request, given)
            if refused is not None:
                await refused(scope, receive, send)
                return
            body = given
            if _NO_HISTORY.search(body) and _wants_none(body):
                caller = scope[CALLER] = replace(caller, no_history=True)
            if caller.after is None and _AFTER in body and _OURS in body:
                scope[CALLER] = caller = replace(caller, after=_after(body))
        elif (refused := _unspoken(request, b"")) is not None:
            await refused(scope, receive, send)
            return
        elif "/v1/" in request.scope["path"] and request.query_params.get("historyLength") == "0":
            caller = scope[CALLER] = replace(caller, no_history=True)
        elif (
            (state := request.query_params.get("status"))
            and request.scope["path"].endswith("/tasks")
            and _unknown(state)
        ):
            await faults.refused(no_state(state), None)(scope, receive, send)
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
        self._start: Message | None = None

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self._take, self._give)
        except HTTPException as error:  # no route takes it
            await faults.no_route(error.status_code)(self._scope, self._take, self._give)

    async def _take(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def _give(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: list[tuple[bytes, bytes]] = list(message["headers"])
            media = next((v for k, v in headers if k == b"content-type"), b"")
            self._streams = media.startswith(b"text/event-stream")
            if TASKS in _extensions(self._scope):
                message = {**message, "headers": [*headers, (b"a2a-extensions", TASKS.encode())]}
            if media == b"application/json":  # it may have to be told in other words
                self._start = message
                return
        elif self._start is not None:
            start, self._start = self._start, None
            body = faults.named(message.get("body", b""))
            if len(body) != len(message.get("body", b"")):
                lengths = {b"content-length": b"%d" % len(body)}
                start = {**start, "headers": [(k, lengths.get(k, v)) for k, v in start["headers"]]}
            await self._send(start)
            message = {**message, "body": body}
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
    rest = "/rest/" in request.scope["path"]
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    allowed = _REST if rest else _RPC
    if media not in allowed and (body or media):
        text = f'Content-Type is "{media}"; send {" or ".join(allowed)}'
        return (
            faults.rest_error(415, "INVALID_ARGUMENT", text, "CONTENT_TYPE_NOT_SUPPORTED")
            if rest
            else faults.rpc_error(body, faults.CONTENT, text, 415)
        )
    if is_deeper(body):
        text = f"the JSON is deeper than {DEPTH} levels"
        return faults.rest_error(400, "INVALID_ARGUMENT", text) if rest else faults.rpc_error(b"", faults.INVALID, text)
    if not rest and _LIST.search(body) and _unknown(state := _asked_state(body)):
        return faults.refused(no_state(state), body)
    return None


def _unspoken(request: Request, body: bytes) -> Response | None:
    """Return what a request is refused with whose version, or whose method in it, there isn't."""
    asked = request.headers.get(_VERSION) or request.query_params.get(_VERSION) or ""
    if not asked:
        return None
    rest, version = "/rest/" in request.scope["path"], spoken(asked)
    if version is None:
        return faults.version(asked, None if rest else body)
    if version == OLD or rest or not _OLD_METHOD.search(body) or not _is_old(body):
        return None
    return faults.rpc_error(body, faults.METHOD, f"version {version} has no such method; it has SendMessage and so on")


def _is_old(body: bytes) -> bool:
    """Tell whether a method has a name of protocol 0.3."""
    try:
        return "/" in json.loads(body)["method"]
    except (ValueError, KeyError, TypeError):
        return False


def _wants_none(body: bytes) -> bool:
    """Tell whether a request of protocol 0.3 wants a task without its history."""
    try:
        call: Any = json.loads(body)
        params: Any = call["params"]
        told: list[Any] = [params, params.get("configuration") or {}]
        return "/" in call["method"] and any(each.get("historyLength") == 0 for each in told)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _after(body: bytes) -> int | None:
    """Return the generation after which a stream goes on, where the request's metadata tells it, not a header."""
    try:
        told: Any = json.loads(body)
    except ValueError:
        return None
    for name in ("params", "metadata", TASKS, "after"):
        if is_object(told) and (name in told or name != "params"):  # HTTP+JSON has no params around it
            told = told.get(name)
    return told if isinstance(told, int) and not isinstance(told, bool) and told >= 0 else None


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
    if "/rest/" in request.scope["path"]:
        return faults.rest_error(413, "INVALID_ARGUMENT", text)
    return faults.rpc_error(b"", faults.INVALID, text, 413)
