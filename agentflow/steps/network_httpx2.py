"""The guarded transport of httpx2, which libraries use that aren't on httpx. Imported with httpx2 only."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable
from contextlib import aclosing, contextmanager
from functools import cache
from ssl import SSLContext
from typing import Any, cast

import anyio
import httpcore2
import httpx2

from agentflow.errors import StepError
from agentflow.steps.dialling import dial
from agentflow.steps.network import Policy

_ERRORS = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
)
"""What the connections raise; httpx2 has an error of the same name for each."""


class GuardedBackend2(httpcore2.AsyncNetworkBackend):
    """Connects to allowed addresses only; TLS and the Host header keep the name."""

    def __init__(self, policy: Policy, inner: httpcore2.AsyncNetworkBackend | None = None) -> None:
        """Make a backend.

        Args:
            policy: what may be connected to.
            inner: makes the connections.
        """
        self._policy = policy
        self._inner = inner or cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that answers, after all of them were found allowed.

        Raises:
            ConnectError: the host or one of its addresses isn't allowed, it has none, or none answers.
        """
        try:
            return await dial(
                self._policy,
                lambda address: self._inner.connect_tcp(address, port, timeout, local_address, socket_options),
                host,
                port,
                timeout,
                failed=httpcore2.ConnectError,
                timed_out=httpcore2.ConnectTimeout,
            )
        except StepError as error:
            raise httpcore2.ConnectError(f"{error.what}; {error.hint}" if error.hint else error.what) from error

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


class GuardedTransport2(httpx2.AsyncBaseTransport):
    """Sends single requests by a policy."""

    def __init__(self, policy: Policy, *, inner: httpcore2.AsyncNetworkBackend | None = None) -> None:
        """Connect to nothing yet.

        Args:
            policy: what may be connected to.
            inner: makes the connections; default: real ones.
        """
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_trusted(),
            max_connections=16,
            max_keepalive_connections=4,
            keepalive_expiry=5.0,
            network_backend=GuardedBackend2(policy, inner),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request."""
        url = httpcore2.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        with _as_httpx2():
            response = await self._pool.handle_async_request(
                httpcore2.Request(
                    request.method, url, headers=request.headers.raw, content=cast("Any", request.stream),
                    extensions=request.extensions,
                )
            )  # fmt: skip
        return httpx2.Response(
            response.status,
            headers=response.headers,
            stream=_Body(cast("AsyncIterable[bytes]", response.stream)),
            extensions=cast("dict[str, Any]", response.extensions),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


@cache
def _trusted() -> SSLContext:
    """Return whom all transports trust: reading the certificates takes longer than most requests."""
    return httpx2.create_ssl_context(trust_env=False)


class _Body(httpx2.AsyncByteStream):
    """The body of a response."""

    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx2():
            async with aclosing(cast("Any", aiter(self._stream))) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def aclose(self) -> None:
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()


@contextmanager
def _as_httpx2() -> Generator[None]:
    """Raise what the connections raise as httpx2 does."""
    try:
        yield
    except _ERRORS as error:
        raise getattr(httpx2, type(error).__name__)(str(error)) from error
