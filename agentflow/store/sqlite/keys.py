"""Keys of runs that this process has reserved: a new run needs none of its own from the database."""

from __future__ import annotations

from collections import deque

import anyio

from agentflow.store.sqlite.sql import number
from agentflow.store.sqlite.writer import Writer

_FIRST_BLOCK = 64
_LARGEST_BLOCK = 4096


class Keys:
    """Blocks of keys: small ones first, larger ones for those who use many."""

    def __init__(self, writer: Writer) -> None:
        """Start without any."""
        self._writer = writer
        self._blocks: deque[range] = deque()
        self._left = 0
        self._size = 0
        """Of the last block that was reserved."""
        self._reserving: anyio.Event | None = None

    async def take(self, count: int) -> list[int]:
        """Return fresh keys; where they have to be reserved first, the loop goes on meanwhile."""
        while self._left < count:
            if self._reserving is not None:  # all go on at once then, or each would be a commit of its own
                await self._reserving.wait()
                continue
            reserved = self._reserving = anyio.Event()
            try:
                wanted = max(self._more, count)
                self.add(await self._writer.transact(self.reserve, wanted), wanted)
            finally:
                self._reserving = None
                reserved.set()
        self._left -= count
        taken: list[int] = []
        while len(taken) < count:
            block = self._blocks.popleft()
            missing = count - len(taken)
            taken += block[:missing]
            if len(block) > missing:
                self._blocks.appendleft(block[missing:])
        return taken

    @property
    def wanted(self) -> int:
        """How many keys the next commit should reserve on its way; 0: enough are left, or nobody has wanted any."""
        return self._more if self._size and self._left <= self._size // 4 else 0

    def reserve(self, count: int) -> int:
        """Reserve keys in the transaction that is under way; returns the last one."""
        advance = "UPDATE meta SET value = value + ? WHERE name = 'run_keys' RETURNING value"
        return number(self._writer.db, advance, (count,))

    def add(self, last: int, count: int) -> None:
        """Take over a reserved block that ends with a key, once it is committed."""
        self._size = count
        self._left += count
        self._blocks.append(range(last - count + 1, last + 1))

    @property
    def _more(self) -> int:
        return min(self._size * 4, _LARGEST_BLOCK) or _FIRST_BLOCK
