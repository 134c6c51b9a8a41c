"""Connections for the care of a store: one that only looks, and one that has the database to itself."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import apsw

from agentflow.errors import StoreError
from agentflow.store.sqlite.file.loss import log_fault
from agentflow.store.sqlite.file.place import InFile
from agentflow.store.sqlite.locks import listed, users
from agentflow.store.sqlite.place import check_sqlite
from agentflow.store.sqlite.schema import check_version
from agentflow.store.sqlite.sql import do, one, rows


@contextmanager
def inspected(path: Path) -> Generator[tuple[apsw.Connection, int, str | None]]:
    """Open a database to look at it; gives the connection, its schema, and what is wrong with its log.

    Raises:
        StoreError: it isn't a store, or comes from a newer version.
    """
    check_sqlite()
    place = InFile(path, "strict")
    fault = log_fault(path)
    with place.faults:
        db = place.reader()
    try:
        # A damaged log stays as it is, also when we are the last to close.
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(fault is not None))
        with place.faults:
            schema = check_version(db, path)
        if not schema:
            raise StoreError(
                f"The file {path} is empty.", code="AF-STORE-MISSING", hint="Name the file of a store, or of a backup."
            )
        yield db, schema, fault
    finally:
        db.close()


@contextmanager
def exclusive(path: Path) -> Generator[apsw.Connection]:
    """Open a database that nobody else has open; nobody can open it before this ends.

    Raises:
        StoreError: somebody has it open, or it can't be read.
    """
    check_sqlite()
    place = InFile(path, "strict")
    with place.faults:
        db = place.writer()
    try:
        with place.faults:
            db.set_busy_timeout(0)
            one(db, "PRAGMA locking_mode=EXCLUSIVE")
            try:
                rows(db, "SELECT count(*) FROM sqlite_master")
                do(db, "BEGIN EXCLUSIVE")
                do(db, "COMMIT")
            except (apsw.BusyError, apsw.LockedError):
                raise in_use(path) from None
            check_version(db, path)
            yield db
    finally:
        db.close()


def in_use(path: Path) -> StoreError:
    """Return the error of a database that others have open."""
    others = [user for user in users(path) or () if user.pid != os.getpid()]
    return StoreError(
        f"Other processes have the store {path} open. Nothing was changed.",
        code="AF-STORE-IN-USE",
        why=listed(others) or None,
        hint="End them, then try again; their runs are saved.",
    )
