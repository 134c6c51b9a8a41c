"""The write-ahead log as a file, and that it doesn't grow for ever."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import apsw

from agentflow.store.sqlite.locks import listed, readers
from agentflow.store.sqlite.sql import one

LARGE = 64 << 20
"""Bytes of a log that somebody keeps from being copied to the database."""


def log_of(path: Path) -> Path:
    """Return the file of a database's write-ahead log."""
    return path.with_name(path.name + "-wal")


def size_of(path: Path) -> int:
    """Return the size of a database's log in bytes."""
    with suppress(OSError):
        return log_of(path).stat().st_size
    return 0


def checkpointed(db: apsw.Connection, mode: str) -> tuple[int, int, int]:
    """Checkpoint, or with `NOOP` only look; returns whether it was held up, pages in the log, pages copied."""
    found = one(db, f"PRAGMA wal_checkpoint({mode})") or (1, 0, 0)
    return found[0], found[1], found[2]


class Growth:
    """Looks now and then whether the log has become large, and sees to it that it gets small again.

    Commits copy the log to the database, and begin it anew once all is copied; a reader that keeps an old snapshot
    holds that up, and nothing helps but that it ends. Then the log is cut to its usual size.
    """

    def __init__(self, path: Path) -> None:
        """Begin with a small log."""
        self._path = path
        self._told = LARGE

    def look(self, db: apsw.Connection) -> None:
        """Look; the connection writes, and is in no transaction."""
        size = size_of(self._path)
        if size < LARGE:
            self._told = LARGE
            return
        _, pages, copied = checkpointed(db, "NOOP")
        if pages == copied:
            with suppress(apsw.BusyError, apsw.LockedError):
                checkpointed(db, "TRUNCATE")
            size = size_of(self._path)
        if size >= self._told:
            import logging  # noqa: PLC0415  hardly ever

            self._told = size * 2
            others = listed(readers(self._path)) or "a process that can't be named"
            logging.getLogger("agentflow").warning(
                "the write-ahead log of %s has %d MB, because a reader keeps an old state of the database: %s; "
                "it shrinks when that reader ends",
                self._path,
                size >> 20,
                others,
            )
