"""HTTP for the SDK: under the network rules, and with errors that end one request, not the connection."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing
from typing import Any, Final, cast

import httpcore2
import httpx2

from agentflow.data import is_object, salvaged
from agentflow.errors import StepError, denial_in
from agentflow.steps.network import Policy
from agentflow.steps.network_httpx2 import GuardedBackend2

UNREACHABLE: Final = -32091
"""Our own code for a request that has got no answer, or none of the protocol's."""
DENIED: Final = "agentflow_denied"
"""Where such an error says that our own network rules refuse the request."""
_ERRORS = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
)
_LARGEST = 64 * 1024
"""Bytes of an error's body that are looked at."""


class Transport(httpx2.AsyncBaseTransport):
    """Sends requests, and answers itself with an error of the protocol where there is no answer."""

    def __init__(self, policy: Policy, url: str) -> None:
        """Connect to nothing yet."""
        self._url = str(httpx2.URL(url))
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False),
            max_connections=256,
            max_keepalive_connections=32,
            keepalive_expiry=30.0,
            network_backend=GuardedBackend2(policy),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request."""
        url = httpcore2.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        try:
            response = await self._pool.handle_async_request(
                httpcore2.Request(
                    request.method, url, headers=request.headers.raw, content=cast("Any", request.stream),
                    extensions=request.extensions,
                )
            )  # fmt: skip
        except _ERRORS as error:
            denial = denial_in(error)
            if denial is not None:
                return _denied(denial)
            return _error(502, f"{type(error).__name__}: {error}", None)
        made = httpx2.Response(
            response.status,
            headers=response.headers,
            stream=_Body(cast("AsyncIterable[bytes]", response.stream)),
            extensions=cast("dict[str, Any]", response.extensions),
        )
        if response.status < 400 or request.method != "POST" or str(request.url) != self._url:
            return made
        return await _told(made, in_session="mcp-session-id" in request.headers)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


async def _told(response: httpx2.Response, *, in_session: bool) -> httpx2.Response:
    """Return a server's refusal as it came where it is the protocol's own, else as an error that says what it is."""
    body = b""
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _LARGEST:
                break
    finally:
        await response.aclose()
    status = response.status_code
    session_lost = status == 404 and in_session
    if not session_lost and status not in (401, 403) and is_object(salvaged(body)) and b'"jsonrpc"' in body:
        return httpx2.Response(status, headers={"content-type": "application/json"}, content=body)
    return _error(status, f"HTTP {status} {response.reason_phrase}".strip(), response)


def _error(status: int, message: str, of: httpx2.Response | None) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": UNREACHABLE, "message": message, "data": {"http": status}}}
    signing = of.headers.get_list("www-authenticate") if of is not None else []
    headers = [("content-type", "application/json"), *(("www-authenticate", each) for each in signing)]
    return httpx2.Response(status, headers=headers, content=json.dumps(body).encode())


def _denied(denial: StepError) -> httpx2.Response:
    told = {"what": denial.what, "why": denial.why, "hint": denial.hint}
    error = {"code": UNREACHABLE, "message": denial.what, "data": {DENIED: told}}
    content = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
    return httpx2.Response(502, headers={"content-type": "application/json"}, content=content)


class _Body(httpx2.AsyncByteStream):
    """The body of a response."""

    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async with aclosing(cast("Any", aiter(self._stream))) as chunks:
                async for chunk in chunks:
                    yield chunk
        except _ERRORS as error:
            raise getattr(httpx2, type(error).__name__)(str(error)) from error

    async def aclose(self) -> None:
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()
