"""Time, injected: the engine never looks at a clock of its own."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio


class Clock(Protocol):
    """What the engine needs to know of time."""

    def now(self) -> float:
        """Return the wall time in seconds since the epoch, UTC."""
        ...

    async def sleep_until(self, due: float, idle: Callable[[], Awaitable[None]]) -> None:
        """Return at `due` (wall time) or somewhat earlier, never much later.

        Args:
            due: seconds since the epoch.
            idle: returns when the engine has nothing left to do but wait; a virtual clock may then jump.
        """
        ...


class SystemClock:
    """The real clock. A sleep is cut into slices, so that a wall clock that jumps is noticed."""

    _slice = 30.0

    def now(self) -> float:
        """Return the wall time."""
        return time.time()

    async def sleep_until(self, due: float, idle: Callable[[], Awaitable[None]]) -> None:
        """Sleep until `due`, at most one slice."""
        await anyio.sleep(min(max(due - time.time(), 0.0), self._slice))
