"""A database in memory, for tests and throw-away runs: one connection, gone when it closes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cache
from pathlib import Path

import anyio
import apsw

from agentflow.store.liveness import Liveness
from agentflow.store.sqlite.faults import Faults
from agentflow.store.sqlite.place import prepared
from agentflow.store.sqlite.schema import migrate
from agentflow.store.sqlite.sql import do, number, rows, script

_SPARE_MOST = 4
_SPARE_PAGES = 1000
"""A larger database isn't used again: it would keep its memory."""
_spare: list[apsw.Connection] = []
"""Databases without rows. Most of what a short run costs is to make one and to prepare its statements."""


class MemoryLiveness:
    """Hosts of this process: each lives until it leaves. They are woken by nothing, as nobody else commits."""

    def __init__(self) -> None:
        """Begin without any."""
        self._living: set[str] = set()
        self._name = ""

    async def join(self, name: str) -> None:
        """Live under a name from now on."""
        self._name = name
        self._living.add(name)

    async def leave(self) -> None:
        """Live no more."""
        self._living.discard(self._name)

    async def dead(self, names: Collection[str]) -> set[str]:
        """Return those of some hosts that have left, or were never here."""
        return {*names} - self._living

    async def living(self) -> None:
        """There is nothing to tell other processes."""

    async def ring(self, names: Collection[str] | None) -> None:
        """Nobody sleeps while another host commits."""

    async def listen(self, wake: Callable[[], None]) -> None:
        """Nobody rings."""
        await anyio.sleep_forever()


class InMemory:
    """No file, no other process, and no commit that waits: what the file's place looks after is never the matter."""

    def __init__(self) -> None:
        """Make a place of its own; two of them share nothing."""
        self.path = Path(":memory:")
        self.faults = Faults(self.path)
        self.liveness: Liveness = MemoryLiveness()
        self.shared = False

    async def open(self) -> tuple[apsw.Connection, apsw.Connection]:
        """Make the database. It is written and read by one connection: no commit is under way when somebody reads."""
        db: apsw.Connection | None = None
        with suppress(IndexError):
            db = _spare.pop()
        with self.faults:
            db = db or _made()
        return db, db

    def close(self, writer: apsw.Connection, reader: apsw.Connection) -> None:
        """Forget all that is in it. Both connections are the same one."""
        if len(_spare) >= _SPARE_MOST or number(writer, "PRAGMA page_count") > _SPARE_PAGES:
            writer.close()
        else:
            script(writer, _emptying())  # a transaction around it would cost four times as much
            _spare.append(writer)

    def watch(self) -> Callable[[bool], None]:
        """Nobody can take it away."""
        return _nothing

    def tend(self, db: apsw.Connection) -> None:
        """Nothing stands beside it."""

    def begin_commits(self, db: apsw.Connection) -> None:
        """It is as ready as it gets."""

    def set_sync(self, db: apsw.Connection, *, full: bool) -> None:
        """No commit is safer than another."""


def _nothing(now: bool) -> None:
    """It is there."""


def _made() -> apsw.Connection:
    db = prepared(apsw.Connection(":memory:"))
    do(db, "BEGIN")
    migrate(db, Path(":memory:"))
    do(db, "COMMIT")
    return db


@cache
def _emptying() -> str:
    """Return the statements that make a database what it was without runs."""
    db = _made()
    try:
        tables = rows(db, "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'meta'")
    finally:
        db.close()
    emptied = [f"DELETE FROM {name}" for (name,) in tables]  # noqa: S608  names of our own tables
    return ";".join((*emptied, "UPDATE meta SET value = 0"))
