"""The connections behind the guarded HTTP client. Imported with httpx only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import httpcore

from agentflow.steps.dialling import dial
from agentflow.steps.network import Policy


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to allowed addresses only; TLS and the Host header keep the name."""

    def __init__(self, policy: Policy, inner: httpcore.AsyncNetworkBackend | None = None) -> None:
        """Make a backend.

        Args:
            policy: what may be connected to.
            inner: makes the connections.
        """
        self._policy = policy
        self._inner = inner or cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers, after all of them were found allowed.

        Raises:
            StepError: the host or one of its addresses isn't allowed.
            ConnectError: it has no address, or none answers.
        """
        return await dial(
            self._policy,
            lambda address: self._inner.connect_tcp(address, port, timeout, local_address, socket_options),
            host,
            port,
            timeout,
            failed=httpcore.ConnectError,
            timed_out=httpcore.ConnectTimeout,
        )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no rule names local sockets.

        Raises:
            ConnectError: always.
        """
        raise httpcore.ConnectError("local sockets aren't connected to")

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await self._inner.sleep(seconds)
