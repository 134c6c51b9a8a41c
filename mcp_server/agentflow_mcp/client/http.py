"""HTTP for the SDK: under the network rules, and with errors that end one request, not the connection."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any, Final, cast
from urllib.parse import urlsplit

import anyio
import httpcore2
import httpx2

from agentflow.data import is_object, salvaged
from agentflow.errors import StepError
from agentflow.steps.network import Policy, system_resolve

UNREACHABLE: Final = -32091
"""Our own code for a request that has got no answer, or none of the protocol's."""
_ERRORS = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
)
_LARGEST = 64 * 1024
"""Bytes of an error's body that are looked at."""


class Backend(httpcore2.AsyncNetworkBackend):
    """Connects to the server that the config names, and else to what the network rules allow."""

    def __init__(self, policy: Policy, url: str) -> None:
        """Make one for a server's address."""
        self._policy = policy
        parts = urlsplit(url)
        self._named = ((parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80))
        self._inner = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that answers.

        Raises:
            ConnectError: the host or one of its addresses isn't allowed, it has none, or none answers.
        """
        try:
            with anyio.fail_after(timeout):
                addresses = await self._addresses(host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f'no address of "{host}" in time') from error
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f'"{host}" isn\'t known: {error}') from error
        except StepError as error:
            raise httpcore2.ConnectError(error.what) from error
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def _addresses(self, host: str, port: int) -> list[str]:
        if (host.lower(), port) != self._named:
            return await self._policy.addresses(host, port)
        found = list(dict.fromkeys(await (self._policy.resolve or system_resolve)(host, port)))
        # Whoever wrote the address into the config meant it, be it in a private network.
        return found or [host]

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Refuse: no rule names local sockets."""
        raise httpcore2.ConnectError("local sockets aren't connected to")

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await anyio.sleep(seconds)


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
            network_backend=Backend(policy, url),
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
