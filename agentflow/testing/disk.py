"""A disk that takes its time, for tests of what goes on meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

_LONGEST = 60.0


class SlowDisk:
    """A disk whose syncs take longer, or wait until they are let go. Made by `slow_disk`."""

    def __init__(self, seconds: float) -> None:
        """Add some seconds to each sync."""
        self.seconds = seconds
        self.syncs = 0
        """How many there were."""
        self.on_loop = 0
        """How many of them were waited for by the thread that made this: the event loop's, in a test."""
        self.entered = threading.Event()
        """Set as soon as a sync is held."""
        self._free = threading.Event()
        self._free.set()
        self._thread = threading.get_ident()

    def hold(self) -> None:
        """Let each sync wait for `let_go` from now on, except in the event loop's own thread: all would stop."""
        self.entered.clear()
        self._free.clear()

    def let_go(self) -> None:
        """Let all syncs go on."""
        self._free.set()

    def __call__(self) -> None:
        """Take the time of a sync."""
        self.syncs += 1
        if threading.get_ident() == self._thread:
            self.on_loop += 1
        elif not self._free.is_set():
            self.entered.set()
            self._free.wait(_LONGEST)
        time.sleep(self.seconds)


@contextmanager
def slow_disk(seconds: float = 0.02) -> Generator[SlowDisk]:
    """Slow down each sync of the SQLite stores that are opened and closed inside the block.

    Args:
        seconds: how much longer a sync takes.
    """
    from agentflow.store.sqlite.file.disk import before_each_sync  # noqa: PLC0415  the driver is loaded where it is used

    disk = SlowDisk(seconds)
    with before_each_sync(disk):
        try:
            yield disk
        finally:
            disk.let_go()
