"""A database in a file: the right SQLite, the right settings, the newest schema, a log that needn't grow."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import apsw

from agentflow.errors import StoreError
from agentflow.store.liveness import Liveness
from agentflow.store.places import reaching, there
from agentflow.store.sqlite.faults import Faults
from agentflow.store.sqlite.file.liveness import FileLiveness
from agentflow.store.sqlite.file.log import Growth
from agentflow.store.sqlite.file.loss import damaged, log_fault
from agentflow.store.sqlite.file.mounts import refuse_network
from agentflow.store.sqlite.file.presence import Presence
from agentflow.store.sqlite.place import BUSY_AFTER, check_sqlite, pause, prepared
from agentflow.store.sqlite.schema import check_version, latest, migrate
from agentflow.store.sqlite.sql import do, one

Durability = Literal["strict", "relaxed"]

LOG_PAGES = 1000
"""Size of the write-ahead log after which it is copied to the database."""
LOG_KEPT = LOG_PAGES * 8192
"""Bytes that the log keeps when it begins anew, after a long reader has let it grow."""


class InFile:
    """Opens connections to a database in a file."""

    def __init__(self, path: Path, durability: Durability, mounts: Path | None = None) -> None:
        """Say which database, how safe its commits are, and where the table of mounts is."""
        self.path = path.absolute()  # a step may go to another folder
        self._mounts = mounts
        self.faults = Faults(self.path)
        self.liveness: Liveness = FileLiveness(self.path.parent)
        self.shared = True
        self._growth = Growth(self.path)
        self._sync = "FULL" if durability == "strict" else "NORMAL"

    def close(self, writer: apsw.Connection, reader: apsw.Connection) -> None:
        """Close the connections. The last one of all that write copies the log into the database."""
        reader.close()
        writer.close()

    def watch(self) -> Callable[[bool], None]:
        """Return what looks whether the opened files are still in their place."""
        return Presence(self.path).look

    def tend(self, db: apsw.Connection) -> None:
        """See to it that the log gets small again."""
        self._growth.look(db)

    def set_sync(self, db: apsw.Connection, *, full: bool) -> None:
        """Say how safe the next commits of a connection are: in full, or as they usually are."""
        do(db, f"PRAGMA synchronous={'FULL' if full else self._sync}")

    def _connect(self) -> apsw.Connection:
        with reaching(self.path):
            return prepared(apsw.Connection(str(self.path)))

    def writer(self) -> apsw.Connection:
        """Open a connection that writes."""
        db = self._connect()
        # Even its settings may meet the lock of a process that makes, recovers or closes the file at this moment.
        db.set_busy_timeout(int(BUSY_AFTER * 1000))
        self.set_sync(db, full=False)
        do(db, f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        one(db, f"PRAGMA journal_size_limit={LOG_KEPT}")
        return db

    def reader(self) -> apsw.Connection:
        """Open a connection that only reads."""
        db = self._connect()
        db.set_busy_timeout(int(BUSY_AFTER * 1000))
        do(db, "PRAGMA query_only=1")
        return db

    async def open(self) -> tuple[apsw.Connection, apsw.Connection]:
        """Open the database, making it or bringing it up where needed; returns (writer, reader).

        Raises:
            StoreError: it isn't a store, or can't be used.
        """
        self._refuse_place()
        with reaching(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self._refuse_log()
        with self.faults:
            db = self.writer()
            try:
                await self._prepare(db)
                # From now on the writer asks again by itself, without blocking the event loop.
                db.set_busy_timeout(0)
                return db, self.reader()
            except BaseException:
                db.close()
                raise

    def look(self) -> apsw.Connection | None:
        """Open a connection to look at what is there; None: the file has to be brought up first.

        Raises:
            StoreError: it isn't a store, or can't be read.
        """
        self._refuse_place()
        self._refuse_log()
        with self.faults:
            db = self.reader()
            try:
                if check_version(db, self.path) == latest():
                    return db
            except BaseException:
                db.close()
                raise
            db.close()
            return None

    def _refuse_place(self) -> None:
        """Refuse what damages a database that several processes share; nothing is made there."""
        check_sqlite()
        with reaching(self.path):
            refuse_network(self.path, self._mounts)

    def _refuse_log(self) -> None:
        there(self.path)
        fault = log_fault(self.path)
        if fault is not None:
            raise damaged(fault, self.path)

    async def _prepare(self, db: apsw.Connection) -> None:
        import anyio  # noqa: PLC0415  who only looks needn't load it

        limit = time.monotonic() + BUSY_AFTER
        while True:
            try:
                if check_version(db, self.path) < latest():
                    self._upgrade(db)
                self._check_log(db)
                return
            except (apsw.BusyError, apsw.LockedError):
                if time.monotonic() > limit:
                    raise
                await anyio.sleep(pause())

    def _upgrade(self, db: apsw.Connection) -> None:
        do(db, "PRAGMA auto_vacuum=INCREMENTAL")  # of a new file only
        one(db, "PRAGMA journal_mode=WAL")
        do(db, "BEGIN IMMEDIATE")
        try:
            migrate(db, self.path)
            do(db, "COMMIT")
        except BaseException:
            if db.in_transaction:
                do(db, "ROLLBACK")
            raise

    def _check_log(self, db: apsw.Connection) -> None:
        mode = one(db, "PRAGMA journal_mode=WAL")
        if mode != ("wal",):
            raise StoreError(
                f"The database {self.path} can't have a write-ahead log.",
                code="AF-STORE-WAL",
                why=f"Its journal mode stays {mode[0] if mode else 'unknown'}.",
                hint="Put the store on a local disk with --store.",
            )

    def begin_commits(self, db: apsw.Connection) -> None:
        """Make the write-ahead log as large as it gets, so that no later commit has to grow the file.

        A commit that needn't grow it is nearly twice as fast. Another process's file is left alone.
        """
        log = self.path.with_name(self.path.name + "-wal")
        with suppress(OSError):
            if log.stat().st_size > LOG_PAGES * 1024:
                return
        with suppress(apsw.Error):  # what is in its way, such as a full disk, the commits will tell
            do(db, "PRAGMA wal_autocheckpoint=0")
            do(db, "PRAGMA synchronous=OFF")
            try:
                for count in range(LOG_PAGES):
                    do(db, "UPDATE meta SET value = ? WHERE name = 'scratch'", (count,))
            finally:
                self.set_sync(db, full=False)
                do(db, f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
            one(db, "PRAGMA wal_checkpoint(RESTART)")
