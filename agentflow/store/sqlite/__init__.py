"""The default store: one SQLite file, several processes, every commit durable before anybody sees it; or in memory."""

from __future__ import annotations

from pathlib import Path

from agentflow.clock import Clock, SystemClock
from agentflow.store.sqlite.file.place import Durability, InFile
from agentflow.store.sqlite.leases import Leases
from agentflow.store.sqlite.ledger import Commands, Ledger
from agentflow.store.sqlite.memory import InMemory
from agentflow.store.sqlite.reads import Reads
from agentflow.store.sqlite.tasks import Tasks

__all__ = ("SqliteStore", "open_memory", "open_sqlite")


class SqliteStore(Tasks, Ledger, Commands, Leases, Reads):
    """A store in a file, or in memory. Open it with `open_sqlite` or `open_memory`."""


async def open_sqlite(path: Path, *, durability: Durability = "strict", clock: Clock | None = None) -> SqliteStore:
    """Open a store, making the file or bringing it up to the newest schema where needed.

    Args:
        path: the database's file; `-wal` and `-shm` files stand beside it while it is open.
        durability: `strict` survives a power cut (`synchronous=FULL`), `relaxed` the death of the process (`NORMAL`).
        clock: for the few times that no caller gives.

    Raises:
        StoreError: it isn't a store, comes from a newer version, or can't be used.
    """
    place = InFile(path, durability)
    return SqliteStore(place, await place.open(), clock or SystemClock())


async def open_memory(*, clock: Clock | None = None) -> SqliteStore:
    """Make a store of this process alone, which is gone when it closes.

    Args:
        clock: for the few times that no caller gives.
    """
    place = InMemory()
    return SqliteStore(place, await place.open(), clock or SystemClock())
