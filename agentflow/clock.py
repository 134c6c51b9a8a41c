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
    """The real clock, except that it never goes back while the process lives.

    A wall clock that is set forward is followed. One that is set back isn't: what was to happen in a minute would
    happen in an hour, and what comes later would seem to have come before.
    """

    _slice = 30.0

    def __init__(self) -> None:
        """Begin with the time of the wall clock."""
        self._ahead = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the wall time."""
        wall, steady = time.time(), time.monotonic()  # in this order: what comes between them doesn't add up
        self._ahead = max(self._ahead, wall - steady)
        return steady + self._ahead

    async def sleep_until(self, due: float, idle: Callable[[], Awaitable[None]]) -> None:
        """Sleep until `due`, at most a slice, so that a wall clock that is set forward is noticed."""
        await anyio.sleep(min(max(due - self.now(), 0.0), self._slice))
