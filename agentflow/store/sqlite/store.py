"""The whole store over one database: what engines open."""

from __future__ import annotations

from pathlib import Path

import apsw

from agentflow.store.elsewhere import Elsewhere
from agentflow.store.liveness import Changes, Liveness
from agentflow.store.sqlite.changes import OthersCommits
from agentflow.store.sqlite.commands import Commands
from agentflow.store.sqlite.database import Database
from agentflow.store.sqlite.elsewhere import SqliteElsewhere
from agentflow.store.sqlite.file.place import Durability, InFile
from agentflow.store.sqlite.leases import Leases
from agentflow.store.sqlite.ledger import Ledger
from agentflow.store.sqlite.memory import InMemory
from agentflow.store.sqlite.outbox import SqliteOutbox
from agentflow.store.sqlite.place import Place
from agentflow.store.sqlite.purging import Purging
from agentflow.store.sqlite.readable import Readable
from agentflow.store.sqlite.reads import Reads
from agentflow.store.sqlite.tasks import Tasks
from agentflow.store.sqlite.vault import SqliteVault
from agentflow.vault import Vault


class SqliteStore(Ledger, Commands, Leases, Purging, Tasks, Reads):
    """A store in a file, or in memory. Open it with `open_sqlite` or `open_memory`."""

    def __init__(self, place: Place, connections: tuple[apsw.Connection, apsw.Connection]) -> None:
        """Take over the connections (writer, reader) to a database."""
        self._database = Database(place, connections)
        self._source: Readable = self._database
        self.receivers = self.outbox = SqliteOutbox(self._database)
        self.elsewhere: Elsewhere = SqliteElsewhere(self._database)
        self.vault: Vault = SqliteVault(self._database)

    @property
    def holder(self) -> str:
        """Name under which this process takes leases; empty until it becomes a host."""
        return self._database.holder

    @holder.setter
    def holder(self, name: str) -> None:
        self._database.holder = name

    @property
    def shared(self) -> bool:
        """Whether other processes can use it too."""
        return self._database.place.shared

    @property
    def liveness(self) -> Liveness:
        """Which hosts live."""
        return self._database.place.liveness

    @property
    def key_file(self) -> Path | None:
        """Where the key lies that seals secrets in this store."""
        path = self._database.place.path
        return path.with_name(f"{path.name}.key") if self.shared else None

    def changes(self) -> Changes:
        """Return what tells of commits of other processes from now on."""
        return OthersCommits(self._database)

    async def close(self) -> None:
        """Finish what is under way and close. The last to close copies the log into the database."""
        await self._database.close()


async def open_sqlite(path: Path, *, durability: Durability = "strict") -> SqliteStore:
    """Open a store, making the file or bringing it up to the newest schema where needed.

    Args:
        path: the database's file; `-wal` and `-shm` files stand beside it while it is open.
        durability: `strict` survives a power cut (`synchronous=FULL`), `relaxed` the death of the process (`NORMAL`).

    Raises:
        StoreError: it isn't a store, comes from a newer version, or can't be used.
    """
    place = InFile(path, durability)
    return SqliteStore(place, await place.open())


async def open_memory() -> SqliteStore:
    """Make a store of this process alone, which is gone when it closes."""
    place = InMemory()
    return SqliteStore(place, await place.open())
