"""What SQLite's errors mean to a person: a code, a sentence, and what helps."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Literal

import apsw

from agentflow.errors import StoreError
from agentflow.store.sqlite.locks import writers

_MEANINGS: tuple[tuple[type[apsw.Error], str, str, str], ...] = (
    (
        apsw.BusyError,
        "AF-STORE-BUSY",
        "The database {path} is in use by another process for too long.",
        "Look for a process that keeps it locked: fuser {path}",
    ),
    (
        apsw.LockedError,
        "AF-STORE-BUSY",
        "The database {path} is in use by another process for too long.",
        "Look for a process that keeps it locked: fuser {path}",
    ),
    (
        apsw.ReadOnlyError,
        "AF-STORE-READONLY",
        "The database {path} can't be written.",
        "Give this user write access to {path} and its folder: chmod u+w {path} {folder}",
    ),
    (
        apsw.FullError,
        "AF-STORE-FULL",
        "The disk is full: {path} can't grow. Nothing of this change was saved.",
        "Make room on the disk: df -h {folder}",
    ),
    (
        apsw.NotADBError,
        "AF-STORE-FORMAT",
        "{path} isn't a database.",
        "Name another file. If it is your store: agentflow store restore FILE puts a backup in its place.",
    ),
    (
        apsw.CorruptError,
        "AF-STORE-DAMAGED",
        "The database {path} is damaged.",
        "See what is damaged: agentflow store check\nput a backup in its place: agentflow store restore FILE\n"
        "or look what can be read: sqlite3 {path} .recover",
    ),
    (
        apsw.CantOpenError,
        "AF-STORE-OPEN",
        "The database {path} can't be opened.",
        "Check that it is a file in a folder that this user may write: ls -ld {path} {folder}",
    ),
    (
        apsw.IOError,
        "AF-STORE-IO",
        "The disk failed while {path} was read or written.",
        "Check the disk and its free space: df -h {folder}",
    ),
)


def store_error(error: apsw.Error, path: Path) -> StoreError:
    """Return what an error of the driver means."""
    for kind, code, what, hint in _MEANINGS:
        if isinstance(error, kind):
            names = {"path": path, "folder": path.parent}
            told = (str(error), hint.format(**names))
            why, hint = _who(path) or told if code == "AF-STORE-BUSY" else told
            return StoreError(what.format(**names), code=code, why=why, hint=hint)
    return StoreError(f"The database {path} refused a statement.", why=f"{type(error).__name__}: {error}")


def _who(path: Path) -> tuple[str, str] | None:
    """Tell which process keeps a database locked, and what to do about it; None where that can't be told."""
    for user in writers(path) or ():
        if user.pid == os.getpid():
            continue
        if user.stopped:
            hint = f"Let it go on: kill -CONT {user.pid}; or end it, its runs go on elsewhere: kill -9 {user.pid}"
            return f"{user} writes to it, and is stopped.", hint
        return f"{user} writes to it.", f"Wait for it, or end it: kill {user.pid}"
    return None


class Faults:
    """A context in which errors of the driver become `StoreError`s."""

    def __init__(self, path: Path) -> None:
        """Make one for a database; it can be entered again and again."""
        self.path = path

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        """Translate."""
        # A row that breaks a rule is our fault, not the disk's: trying again would end the same.
        if isinstance(error, apsw.Error) and not isinstance(error, apsw.ConstraintError):
            raise store_error(error, self.path) from error
        return False
