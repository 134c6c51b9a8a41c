"""Whether a database's files are still those that were opened: one that was deleted or replaced keeps nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

from agentflow.errors import StoreError
from agentflow.store.sqlite.file.log import log_of

Identity = tuple[int, int]
"""Device and number of a file."""
GLANCES = 0.01
"""Seconds between two looks where many commits follow one another."""


class Presence:
    """Looks whether a database that is open is still in its place, at the price of two looks at the file system."""

    def __init__(self, path: Path) -> None:
        """Begin with the files as they are now; the log is known from the first look on."""
        self._path = str(path)  # texts: looking costs half of what it does with paths
        self._log = str(log_of(path))
        self._file = _identity(self._path)
        self._log_file: Identity | None = None
        self._looked = 0.0

    def look(self, now: bool = True) -> None:
        """Look at the files.

        Args:
            now: else it is enough if they were looked at a short time ago, as many commits follow one another.

        Raises:
            StoreError: a file was deleted, moved or replaced: what is committed from now on is lost.
        """
        if not now and time.monotonic() - self._looked <= GLANCES:
            return
        found = _identity(self._path)
        if found is None or found != self._file:
            raise _gone(self._path, found, "The database", self._path)
        log = _identity(self._log)
        if self._log_file is None:
            self._log_file = log
        elif log != self._log_file:
            raise _gone(self._log, log, "The write-ahead log", self._path)
        self._looked = time.monotonic()


def _identity(path: str) -> Identity | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _gone(file: str, found: Identity | None, what: str, database: str) -> StoreError:
    return StoreError(
        f"{what} {file} was deleted, moved or replaced while this process had it open. What it did since is lost.",
        code="AF-STORE-GONE",
        why="Another file is in its place." if found else "There is no file at its place.",
        hint=f"Put it back, or a backup of it: agentflow store restore FILE --store {database}\n"
        "What was saved before goes on from there; steps that ran meanwhile run again.",
    )
