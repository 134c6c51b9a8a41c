"""What every part of the SQLite store shares: its connections, and how it reads and writes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import anyio
import apsw

from agentflow.clock import Clock
from agentflow.errors import NotFoundError
from agentflow.store.common import subset
from agentflow.store.contract import Matches
from agentflow.store.sqlite.batch import Batch
from agentflow.store.sqlite.known import Known
from agentflow.store.sqlite.place import Place, reserve
from agentflow.store.sqlite.sql import number, one
from agentflow.store.sqlite.writer import Writer

T = TypeVar("T")

_FIRST_BLOCK = 64
_LARGEST_BLOCK = 4096


@cache
def _closed() -> apsw.Connection:
    """Return what a closed store has for a connection: those it had may be another one's now."""
    db = apsw.Connection(":memory:")
    db.close()
    return db


class Keys:
    """Run keys that this process has reserved: small blocks first, larger ones for those who use many."""

    def __init__(self, place: Place, writer: Writer) -> None:
        """Start without any."""
        self._place = place
        self._writer = writer
        self._blocks: deque[tuple[int, int]] = deque()
        self._next = self._end = 0
        self._size = _FIRST_BLOCK

    def take(self) -> int:
        """Return a key."""
        if self._next >= self._end:
            if not self._blocks:  # many child runs are started at once
                self.add(self._place.reserve(self._writer.db, self.more), self.more)
            self._next, self._end = self._blocks.popleft()
        self._next += 1
        return self._next

    @property
    def empty(self) -> bool:
        """Whether none is left."""
        return self._next >= self._end and not self._blocks

    @property
    def more(self) -> int:
        """How many keys to reserve when none is left."""
        return self._size if self._end == 0 else min(self._size * 4, _LARGEST_BLOCK)

    @property
    def wanted(self) -> int:
        """How many keys the next commit should reserve on its way; 0: enough are left."""
        if self._end == 0 or self._blocks or self._end - self._next > self._size // 4:
            return 0
        return min(self._size * 4, _LARGEST_BLOCK)

    def add(self, last: int, count: int | None = None) -> None:
        """Take over a reserved block that ends with a key."""
        self._size = count or self._size
        self._blocks.append((last - self._size, last))


class Base:
    """A database, opened."""

    def __init__(self, place: Place, connections: tuple[apsw.Connection, apsw.Connection], clock: Clock) -> None:
        """Take over the connections (writer, reader)."""
        self.holder = ""
        self.matches: Matches = subset
        self._place = place
        self._clock = clock
        self._writer = Writer(connections[0], place)
        self._beside = connections[1]
        self._faults = place.faults
        self._keys = Keys(place, self._writer)
        self._reserving: anyio.Event | None = None
        self._sized = False

    @property
    def path(self) -> Path:
        """The database's file; `:memory:` where there is none."""
        return self._place.path

    @property
    def directory(self) -> str | None:
        """Folder for host locks and sockets beside the database; None for one in memory."""
        return self._place.directory

    def changed(self) -> bool:
        """Tell cheaply whether another process has committed since this was last asked."""
        if self._place.directory is None:
            return False
        if self._writer.idle:
            with self._faults:
                self._place.tend(self._writer.db)
        return self._writer.changed()

    @property
    def _reader(self) -> apsw.Connection:
        """The connection to read by: the writer's while it is idle, as it still has the pages of its last commit."""
        return self._writer.db if self._writer.idle else self._beside

    def allocate(self) -> int:
        """Return a fresh integer key for a run."""
        return self._keys.take()

    async def new_key(self) -> int:
        """Return a fresh integer key for a run; where keys have to be reserved first, the loop goes on meanwhile."""
        while self._keys.empty:
            if self._reserving is not None:  # all go on at once then, or each would be a commit of its own
                await self._reserving.wait()
                continue
            reserved = self._reserving = anyio.Event()
            try:
                await self._reserve(self._keys.more)
            finally:
                self._reserving = None
                reserved.set()
        return self._keys.take()

    async def _reserve(self, count: int) -> None:
        db = self._writer.db
        self._keys.add(await self._write(lambda _: reserve(db, count)), count)

    async def close(self) -> None:
        """Finish what is under way and close. The last to close copies the log into the database."""
        await self._writer.end()
        writer, reader = self._writer.db, self._beside
        self._writer.db = self._beside = _closed()
        with self._faults:
            self._place.close(writer, reader)

    async def _write(self, work: Callable[[Batch], T]) -> T:
        """Run some work in a transaction, with a batch that is flushed at its end."""

        def run(work: Callable[[Batch], T]) -> T:
            self._writer.known.clear()
            batch = Batch(self._writer.db, self.holder, self.matches, Known())
            result = work(batch)
            batch.flush()
            return result

        return await self._writer.transact(run, work)

    def _key(self, run_id: str) -> int | None:
        found = one(self._reader, "SELECT key FROM runs WHERE ending = ?", (run_id[::-1],))
        return found[0] if found else None

    def _known(self, db: apsw.Connection, run_id: str) -> int:
        key = number(db, "SELECT key FROM runs WHERE ending = ?", (run_id[::-1],))
        if not key:
            raise NotFoundError(f"There is no run {run_id}.")
        return key
