"""A database that is open: its connections, and how all parts of the store read and write by them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar

import apsw

from agentflow.errors import NotFoundError
from agentflow.store.sqlite.batch import Batch
from agentflow.store.sqlite.keys import Keys
from agentflow.store.sqlite.place import Place
from agentflow.store.sqlite.readable import key_of
from agentflow.store.sqlite.row_cache import RowCache
from agentflow.store.sqlite.sql import number
from agentflow.store.sqlite.writer import Writer

T = TypeVar("T")


@cache
def _closed() -> apsw.Connection:
    """Return what a closed store has for a connection: those it had may be another one's now."""
    db = apsw.Connection(":memory:")
    db.close()
    return db


class Database:
    """What the parts of a store share."""

    def __init__(self, place: Place, connections: tuple[apsw.Connection, apsw.Connection]) -> None:
        """Take over the connections (writer, reader)."""
        self.place = place
        self.faults = place.faults
        self.writer = Writer(connections[0], place)
        self.keys = Keys(self.writer)
        self.holder = ""
        """See `Store.holder`."""
        self.begun = False
        """Whether it is ready for many commits."""
        self._beside = connections[1]

    def begin(self) -> None:
        """Get ready for many commits, if it is a host that commits and nothing is under way."""
        if self.holder and self.writer.idle:
            self.begun = True
            with self.faults:
                self.place.begin_commits(self.writer.db)

    @property
    def reader(self) -> apsw.Connection:
        """The connection to read by: the writer's while it is idle, as it still has the pages of its last commit."""
        return self.writer.db if self.writer.idle else self._beside

    def tend(self) -> None:
        """Keep small what grows beside the database; no transaction may be under way."""
        with self.faults:
            self.place.tend(self.writer.db)

    async def write(self, work: Callable[[Batch], T]) -> T:
        """Run some work in a transaction, with a batch that is flushed at its end."""

        def run(work: Callable[[Batch], T]) -> T:
            self.writer.cache.clear()
            batch = Batch(self.writer.db, self.holder, RowCache())
            result = work(batch)
            batch.flush()
            return result

        return await self.writer.transact(run, work)

    def key(self, run_id: str) -> int | None:
        """Return the key of a run, or None."""
        return key_of(self.reader, run_id)

    def existing(self, run_id: str) -> int:
        """Return the key of a run, inside a transaction; raises NotFoundError for an unknown one."""
        key = number(self.writer.db, "SELECT key FROM runs WHERE ending = ?", (run_id[::-1],))
        if not key:
            raise NotFoundError(f"There is no run {run_id}.")
        return key

    async def close(self) -> None:
        """Finish what is under way and close."""
        await self.writer.end()
        writer, reader = self.writer.db, self._beside
        self.writer.db = self._beside = _closed()
        with self.faults:
            self.place.close(writer, reader)
