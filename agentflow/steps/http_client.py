"""The HTTP client that keeps to the network rules. Imported on the first request: httpx costs its import."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Generator
from contextlib import aclosing, contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, cast

import httpcore
import httpx

from agentflow.steps.network import Policy
from agentflow.steps.network_backend import GuardedBackend

_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
"""What the connections raise; httpx has an error of the same name for each."""


def guarded_client(policy: Policy, *, inner: httpcore.AsyncNetworkBackend | None = None) -> httpx.AsyncClient:
    """Return an HTTP client that keeps to a policy: no proxies, no redirects, no cookies, no limit of time of its own.

    Args:
        policy: what may be connected to.
        inner: makes the connections; default: real ones.
    """
    return httpx.AsyncClient(
        transport=guarded_transport(policy, inner=inner),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(None, connect=30.0),
        # The jar takes nothing: runs of different people share the client.
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        headers={"user-agent": "agentflow"},
    )


def guarded_transport(policy: Policy, *, inner: httpcore.AsyncNetworkBackend | None = None) -> httpx.AsyncBaseTransport:
    """Return what sends single requests by a policy; unlike a client it writes no address into a log.

    Args:
        policy: what may be connected to.
        inner: makes the connections; default: real ones.
    """
    pool = httpcore.AsyncConnectionPool(
        ssl_context=httpx.create_ssl_context(trust_env=False),
        max_connections=256,
        max_keepalive_connections=64,
        keepalive_expiry=5.0,
        network_backend=GuardedBackend(policy, inner),
    )
    return _Transport(pool, policy)


class _Transport(httpx.AsyncBaseTransport):
    """Sends requests of httpx over a pool whose connections are our own."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, policy: Policy) -> None:
        self._pool = pool
        self._policy = policy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        asked = request.url
        port = asked.port or (443 if asked.scheme == "https" else 80)
        self._policy.check_request(request.method, asked.scheme, asked.raw_host.decode("ascii"), port)
        with _as_httpx():
            response = await self._pool.handle_async_request(
                httpcore.Request(
                    request.method,
                    url,
                    headers=request.headers.raw,
                    content=cast("Any", request.stream),
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(cast("AsyncIterable[bytes]", response.stream)),
            extensions=cast("dict[str, Any]", response.extensions),
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of a response."""

    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async with aclosing(cast("Any", aiter(self._stream))) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def aclose(self) -> None:
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()


@contextmanager
def _as_httpx() -> Generator[None]:
    """Raise what the connections raise as httpx does."""
    try:
        yield
    except _ERRORS as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error
