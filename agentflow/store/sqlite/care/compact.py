"""Giving free space back to the disk: a little at a time beside engines, or all at once with the store to oneself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import apsw

from agentflow.errors import StoreError
from agentflow.store.findings import Progress
from agentflow.store.sqlite.care.copying import copy_pages, fresh
from agentflow.store.sqlite.care.exclusive import exclusive, inspected
from agentflow.store.sqlite.faults import Faults
from agentflow.store.sqlite.file.log import checkpointed
from agentflow.store.sqlite.file.loss import damaged
from agentflow.store.sqlite.file.place import InFile
from agentflow.store.sqlite.place import BUSY_AFTER, pause
from agentflow.store.sqlite.sql import do, number, one, rows, script, until_error

# ruff: noqa: S608  the only texts put in are names of our own tables

PAGES = 200
"""Pages that one transaction gives back."""
_INCREMENTAL = 2


async def compact(path: Path, progress: Progress | None) -> int:
    """Give free pages back in small transactions; see `agentflow.store.care.vacuum`."""
    with inspected(path) as (_, _, fault):
        if fault:
            raise damaged(fault, path)
    place = InFile(path, "strict")
    with place.faults:
        db = place.writer()
        try:
            db.set_busy_timeout(0)
            if number(db, "PRAGMA auto_vacuum") != _INCREMENTAL:
                raise StoreError(
                    f"The store {path} was made by a version that couldn't give space back in steps.",
                    hint="End what uses it and write it anew, once: agentflow store vacuum --full",
                )
            before = number(db, "PRAGMA page_count")
            total = free = number(db, "PRAGMA freelist_count")
            while free:
                began = time.perf_counter()
                await _step(db)
                # Others get at least as much of the time as we do.
                await anyio.sleep(time.perf_counter() - began + pause())
                left = number(db, "PRAGMA freelist_count")
                if left >= free:
                    break  # what others free meanwhile is for the next time
                free = left
                if progress is not None:
                    progress(total - free, total)
            await _shrink(db)
            return max(0, before - number(db, "PRAGMA page_count")) * number(db, "PRAGMA page_size")
        finally:
            db.close()


async def _step(db: apsw.Connection) -> None:
    limit = time.monotonic() + BUSY_AFTER
    while True:
        try:
            await anyio.to_thread.run_sync(rows, db, f"PRAGMA incremental_vacuum({PAGES})")
        except (apsw.BusyError, apsw.LockedError):
            if time.monotonic() > limit:
                raise
            await anyio.sleep(pause())
        else:
            return


async def _shrink(db: apsw.Connection) -> None:
    """Let the file itself get smaller: that happens when the log is copied to it."""
    with suppress(apsw.BusyError, apsw.LockedError):
        await anyio.to_thread.run_sync(checkpointed, db, "TRUNCATE")


async def _from_tables(db: apsw.Connection, path: Path) -> None:
    """Write the file anew from what its tables hold: a VACUUM would take over what is wrong with an index.

    A table that can't be read ends it, and nothing is changed.
    """
    with fresh(path) as part:
        await anyio.to_thread.run_sync(_extract, db, part)
        source = apsw.Connection(str(part))
        try:
            await copy_pages(source, db)
        finally:
            source.close()


def _extract(db: apsw.Connection, part: Path) -> None:
    """Copy all rows into a new file, whose indexes are made from them."""
    schema = rows(db, "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
    headers = [f"PRAGMA {name} = {number(db, f'PRAGMA {name}')}" for name in ("application_id", "user_version")]
    _run(part, ["PRAGMA auto_vacuum=INCREMENTAL", *headers, *(sql for kind, _, sql in schema if kind == "table")])
    do(db, "ATTACH ? AS fresh", (str(part),))
    try:
        for name in (*(name for kind, name, _ in schema if kind == "table"), "sqlite_sequence"):
            without = number(db, "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (name,))
            keys = rows(db, "SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk", (name,)) if without else ()
            order = ", ".join(key for (key,) in keys) or "rowid"
            # By its order, as else SQLite may read an index instead of the table, or copy the pages of its indexes.
            do(db, f"DELETE FROM fresh.{name}")
            do(db, f"INSERT INTO fresh.{name} SELECT * FROM main.{name} NOT INDEXED ORDER BY {order}")
    finally:
        do(db, "DETACH fresh")
    _run(part, [sql for kind, _, sql in schema if kind != "table"])


def _run(path: Path, statements: Sequence[str]) -> None:
    db = apsw.Connection(str(path))
    try:
        script(db, ";".join(statements))
    finally:
        db.close()


async def rebuild(path: Path) -> int:
    """Write the whole file anew; see `agentflow.store.care.vacuum`."""
    with exclusive(path) as db, Faults(path):
        before = number(db, "PRAGMA page_count")
        one(db, "PRAGMA auto_vacuum=INCREMENTAL")
        found, error = await anyio.to_thread.run_sync(until_error, db, "PRAGMA integrity_check(1)")
        if error is None and found == [("ok",)]:
            await anyio.to_thread.run_sync(rows, db, "VACUUM")
        else:
            await _from_tables(db, path)
        await _shrink(db)
        return max(0, before - number(db, "PRAGMA page_count")) * number(db, "PRAGMA page_size")
