"""Keeps the connection to a server, and opens another one when it has died."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio

from agentflow.errors import StepError
from agentflow.steps.network import Policy
from agentflow_mcp.client.connection import LONGEST_BACK_OFF, Live
from agentflow_mcp.client.settings import Server
from agentflow_mcp.client.stderr import Tail
from agentflow_mcp.client.transports import address, program

STEADY = 10.0
"""Seconds that a connection has to live for its death to count as the first in a row."""


class Pool:
    """The connection to one server."""

    def __init__(self, server: Server, policy: Policy) -> None:
        """Open nothing yet."""
        self.server = server
        self._policy = policy
        self._live: Live | None = None
        self._lock = asyncio.Lock()
        self._deaths = 0
        self._opened_at = 0.0
        self._closed = False

    async def live(self) -> Live:
        """Return a connection that can be used.

        Raises:
            StepError: there is none to be had.
        """
        async with self._lock:
            live = self._live
            if live is not None and not live.ended:
                if live.stale:
                    await live.renew()
                return live
            if live is not None:
                self._live = None
                await live.aclose()
            return await self._open()

    async def _open(self) -> Live:
        if self._closed:
            raise StepError(f'server "{self.server.name}" was closed with the engine', code="AF-TOOL-CONNECTION")
        now = time.monotonic()
        if now - self._opened_at >= STEADY:
            self._deaths = 0
        elif self._deaths > 1:  # the first one is replaced at once
            await anyio.sleep(max(0.0, self._opened_at + self._pause - now))
        self._deaths += 1
        self._opened_at = time.monotonic()
        tail = Tail()
        live = Live(self.server, self._transport, tail)
        try:
            await live.opened()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await live.aclose()
            raise
        self._live = live
        return live

    @property
    def _pause(self) -> float:
        return min(LONGEST_BACK_OFF, 0.5 * 2 ** min(self._deaths - 2, 10))

    def _transport(self, tail: Tail) -> AbstractAsyncContextManager[Any]:
        if self.server.url is not None:
            return address(self.server, self._policy)
        return program(self.server, tail)

    async def aclose(self) -> None:
        """Close the connection; a program is ended."""
        self._closed = True
        live, self._live = self._live, None
        if live is not None:
            await live.aclose()
