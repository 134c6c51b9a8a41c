"""What shows a store to a process that changes nothing: one connection, no writer, no event loop."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import apsw

from agentflow.store.liveness import Liveness
from agentflow.store.outbox import Receivers
from agentflow.store.sqlite.faults import Faults
from agentflow.store.sqlite.file.place import InFile
from agentflow.store.sqlite.outbox import SqliteReceivers
from agentflow.store.sqlite.readable import Readable
from agentflow.store.sqlite.reads import Reads
from agentflow.store.sqlite.tasks import Tasks


class _Opened:
    """A database with nothing but a connection that reads."""

    def __init__(self, faults: Faults, reader: apsw.Connection) -> None:
        self.faults = faults
        self.reader = reader


class Looking(Tasks, Reads):
    """The half of a store that only reads. Its methods never suspend."""

    def __init__(self, place: InFile, reader: apsw.Connection) -> None:
        """Take over a connection."""
        self._source: Readable = _Opened(place.faults, reader)
        self.liveness: Liveness = place.liveness
        """Which hosts live."""
        self.receivers: Receivers = SqliteReceivers(self._source)
        """What gets changes of tasks."""


@contextmanager
def looking(path: Path) -> Generator[Looking | None]:
    """Open a store to look at it; None: its file comes from an older version, and has to be brought up first.

    Args:
        path: the database's file, which is there.

    Raises:
        StoreError: it isn't a store, or can't be read.
    """
    place = InFile(path, "strict")
    db = place.look()
    if db is None:
        yield None
        return
    try:
        yield Looking(place, db)
    finally:
        with place.faults:
            db.close()
