"""Where a database is: in a file that other processes may use too, or in the memory of this one."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import apsw

from agentflow.errors import StoreError
from agentflow.store.liveness import Liveness
from agentflow.store.sqlite.faults import Faults

OLDEST_SQLITE = 3_051_003
"""Before 3.51.3, two processes that write and checkpoint at the same moment could damage the file."""
BUSY_AFTER = 10.0
"""Seconds after which a lock of another process is reported."""


class Place(Protocol):
    """What opens the connections to one database, and knows what differs between places."""

    @property
    def path(self) -> Path:
        """The database's file; `:memory:` where there is none."""
        ...

    @property
    def faults(self) -> Faults:
        """Turns the driver's errors into ours."""
        ...

    @property
    def shared(self) -> bool:
        """Whether other processes can use this database. Else no commit waits."""
        ...

    @property
    def liveness(self) -> Liveness:
        """Which hosts live."""
        ...

    async def open(self) -> tuple[apsw.Connection, apsw.Connection]:
        """Open the database, making it or bringing it up where needed; returns (writer, reader).

        Raises:
            StoreError: it isn't a store, or can't be used.
        """
        ...

    def close(self, writer: apsw.Connection, reader: apsw.Connection) -> None:
        """Take back the connections; whoever opened them has done with them."""
        ...

    def watch(self) -> Callable[[bool], None]:
        """Return what looks whether the opened database is still there, and raises StoreError when it isn't.

        It is told whether to look now; else it is enough to look now and then.
        """
        ...

    def tend(self, db: apsw.Connection) -> None:
        """Keep small what grows beside the database; the connection writes, and is in no transaction."""
        ...

    def begin_commits(self, db: apsw.Connection) -> None:
        """Get the database ready for many commits."""
        ...

    def set_sync(self, db: apsw.Connection, *, full: bool) -> None:
        """Say how safe the next commits of a connection are: in full, or as they usually are."""
        ...


def prepared(db: apsw.Connection) -> apsw.Connection:
    """Return a new connection, set up as all of ours are."""
    # Else SQLite plans a query anew for each value that is bound to it, which costs more than the query.
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return db


def pause() -> float:
    """Return how long to wait before asking for the lock again: short and random, so that nobody starves."""
    return random.uniform(0.0002, 0.002)  # noqa: S311  not a secret


def check_sqlite(version: int | None = None) -> None:
    """Refuse a SQLite with the bug that damages files shared by several processes."""
    if (version or apsw.SQLITE_VERSION_NUMBER) < OLDEST_SQLITE:
        raise StoreError(
            f"SQLite {apsw.sqlite_lib_version()} is too old: it can damage a file that several processes share.",
            code="AF-STORE-SQLITE",
            hint="Upgrade the driver: pip install --upgrade apsw",
        )
