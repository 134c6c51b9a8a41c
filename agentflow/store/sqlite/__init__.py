"""The default store: one SQLite file, several processes, every commit durable before anybody sees it."""

from __future__ import annotations

from pathlib import Path

from agentflow.clock import Clock, SystemClock
from agentflow.store.sqlite.connection import Durability, Opener
from agentflow.store.sqlite.leases import Leases
from agentflow.store.sqlite.ledger import Commands, Ledger
from agentflow.store.sqlite.reads import Reads
from agentflow.store.sqlite.records import Runs, Tasks

__all__ = ("SqliteStore", "open_sqlite")


class SqliteStore(Runs, Tasks, Ledger, Commands, Leases, Reads):
    """A store in a file. Open it with `open_sqlite`."""


async def open_sqlite(path: Path, *, durability: Durability = "strict", clock: Clock | None = None) -> SqliteStore:
    """Open a store, making the file or bringing it up to the newest schema where needed.

    Args:
        path: the database's file; `-wal` and `-shm` files stand beside it while it is open.
        durability: `strict` survives a power cut (`synchronous=FULL`), `relaxed` the death of the process (`NORMAL`).
        clock: for the few times that no caller gives.

    Raises:
        StoreError: it isn't a store, comes from a newer version, or can't be used.
    """
    opener = Opener(path, durability)
    return SqliteStore(opener, await opener.open(), clock or SystemClock())
