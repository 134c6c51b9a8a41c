"""A clock that tests move."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from heapq import heappop, heappush

import anyio


class FakeClock:
    """Virtual time: it moves by `advance`, or by itself to what is due next when the engine has nothing else to do."""

    def __init__(self, start: float = 1_700_000_000.0, *, auto: bool = True) -> None:
        """Make a clock.

        Args:
            start: seconds since the epoch.
            auto: jump to the next due time when the engine is idle.
        """
        self._now = start
        self._auto = auto
        self._count = 0
        self._sleepers: list[tuple[float, int, anyio.Event]] = []

    def now(self) -> float:
        """Return the virtual time."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the time, waking who sleeps until then."""
        self._now += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now:
            heappop(self._sleepers)[2].set()

    async def sleep_until(self, due: float, idle: Callable[[], Awaitable[None]]) -> None:
        """Sleep until the virtual time has come."""
        if due <= self._now:
            return
        if self._auto:
            await idle()
            for _ in range(3):  # whoever was woken by the last commit acts first
                await anyio.lowlevel.checkpoint()
            await idle()
            self._now = max(self._now, due)
            return
        event = anyio.Event()
        self._count += 1
        heappush(self._sleepers, (due, self._count, event))
        await event.wait()
