"""How much may be told: in all, and a second."""

from __future__ import annotations

import time


class Bucket:
    """Lets through so much a second, and as much at once. What is too much just now is owed."""

    __slots__ = ("_at", "_level", "_rate")

    def __init__(self, rate: float) -> None:
        """Make a full one."""
        self._rate = rate
        self._level = rate
        self._at = time.monotonic()

    def take(self, size: float) -> bool:
        """Take so much, if nothing is owed."""
        if self.pause() > 0:
            return False
        self._level -= size
        return True

    def pause(self) -> float:
        """Return the seconds until something may be taken again."""
        now = time.monotonic()
        self._level = min(self._rate, self._level + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, (1.0 - self._level) / self._rate) if self._level < 1.0 else 0.0


class Volume:
    """How much the steps of one run may tell: in all, and a second."""

    __slots__ = ("_left", "_now")

    def __init__(self, size: int, rate: int) -> None:
        """Begin with nothing told, by the limits of the config."""
        self._left = size
        self._now = Bucket(float(rate))

    def take(self, size: int) -> bool:
        """Take a share; False where there is none, at this moment or for good."""
        if self._left <= 0 or not self._now.take(size):
            return False
        self._left -= size
        return True

    def pause(self) -> float:
        """Return the seconds after which something may be told again; 0 where it may now, or never."""
        return self._now.pause() if self._left > 0 else 0.0
