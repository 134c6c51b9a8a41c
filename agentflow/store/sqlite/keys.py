"""Keys of runs that this process has reserved: a new run needs none of its own from the database."""

from __future__ import annotations

from collections import deque

import anyio

from agentflow.store.sqlite.place import Place, reserve
from agentflow.store.sqlite.writer import Writer

_FIRST_BLOCK = 64
_LARGEST_BLOCK = 4096


class Keys:
    """Blocks of keys: small ones first, larger ones for those who use many."""

    def __init__(self, place: Place, writer: Writer) -> None:
        """Start without any."""
        self._place = place
        self._writer = writer
        self._blocks: deque[tuple[int, int]] = deque()
        self._next = self._end = 0
        self._size = _FIRST_BLOCK
        self._reserving: anyio.Event | None = None

    def take(self) -> int:
        """Return a key."""
        if self._next >= self._end:
            if not self._blocks:  # many child runs are started at once
                self.add(self._place.reserve(self._writer.db, self._more), self._more)
            self._next, self._end = self._blocks.popleft()
        self._next += 1
        return self._next

    async def new(self) -> int:
        """Return a key; where keys have to be reserved first, the loop goes on meanwhile."""
        while self._next >= self._end and not self._blocks:
            if self._reserving is not None:  # all go on at once then, or each would be a commit of its own
                await self._reserving.wait()
                continue
            reserved = self._reserving = anyio.Event()
            try:
                count = self._more
                self.add(await self._writer.transact(self._reserve, count), count)
            finally:
                self._reserving = None
                reserved.set()
        return self.take()

    @property
    def wanted(self) -> int:
        """How many keys the next commit should reserve on its way; 0: enough are left."""
        if self._end == 0 or self._blocks or self._end - self._next > self._size // 4:
            return 0
        return min(self._size * 4, _LARGEST_BLOCK)

    def add(self, last: int, count: int) -> None:
        """Take over a reserved block that ends with a key."""
        self._size = count
        self._blocks.append((last - count, last))

    def _reserve(self, count: int) -> int:
        return reserve(self._writer.db, count)

    @property
    def _more(self) -> int:
        """How many keys to reserve when none is left."""
        return self._size if self._end == 0 else min(self._size * 4, _LARGEST_BLOCK)
