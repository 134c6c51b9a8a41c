"""A clock that tests move."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from heapq import heappop, heappush

import anyio


async def _always() -> bool:
    return True


class FakeClock:
    """Virtual time: it moves by `advance`, or by itself to what is due next when the engine has nothing else to do."""

    def __init__(self, start: float = 1_700_000_000.0, *, auto: bool = True) -> None:
        """Make a clock.

        Args:
            start: seconds since the epoch.
            auto: jump to the next due time when the engine is idle.
        """
        self.may_jump: Callable[[], Awaitable[bool]] = _always
        """Whether it may jump now; if not, it is asked again after `tell`."""
        self.changed = anyio.Event()
        """Set by the next `tell`."""
        self._now = start
        self._auto = auto
        self._free = start
        """Up to here it may jump whatever `may_jump` says."""
        self._count = 0
        self._sleepers: list[tuple[float, int, anyio.Event]] = []
        self._jumping: anyio.CancelScope | None = None

    def now(self) -> float:
        """Return the virtual time."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the time, waking who sleeps until then."""
        self._now += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now:
            heappop(self._sleepers)[2].set()

    def reach(self, target: float) -> None:
        """Move the time to a point, if it isn't there yet."""
        if target > self._now:
            self.advance(target - self._now)

    def allow(self, target: float) -> None:
        """Let the time jump up to a point, to whatever is due until then."""
        self._free = max(self._free, target)
        if self._jumping is not None:
            self._jumping.cancel()

    def tell(self) -> None:
        """Something has changed: perhaps it may jump now."""
        event, self.changed = self.changed, anyio.Event()
        event.set()

    async def sleep_until(self, due: float, idle: Callable[[], Awaitable[None]]) -> None:
        """Sleep until the virtual time has come."""
        if not self._auto and due > self._now:
            event = anyio.Event()
            self._count += 1
            heappush(self._sleepers, (due, self._count, event))
            await event.wait()
        while due > self._now:
            if due <= self._free:
                self.reach(due)
                return
            with anyio.CancelScope() as self._jumping:
                await idle()
                for _ in range(3):  # whoever was woken by the last commit acts first
                    await anyio.lowlevel.checkpoint()
                await idle()
                changed = self.changed
                if await self.may_jump():
                    self.reach(due)
                    return
                await changed.wait()
