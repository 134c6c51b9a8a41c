"""Giving free space back to the disk: a little at a time beside engines, or all at once with the store to oneself."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import apsw

from agentflow.errors import StoreError
from agentflow.store.care import Progress
from agentflow.store.sqlite.alone import alone, inspected
from agentflow.store.sqlite.connection import BUSY_AFTER, Opener, pause
from agentflow.store.sqlite.log import checkpointed, damaged
from agentflow.store.sqlite.sql import number, one, rows

PAGES = 200
"""Pages that one transaction gives back."""
_INCREMENTAL = 2


async def compact(path: Path, progress: Progress | None) -> int:
    """Give free pages back in small transactions; see `agentflow.store.care.vacuum`."""
    with inspected(path) as (_, _, fault):
        if fault:
            raise damaged(fault, path)
    opener = Opener(path, "strict")
    with opener.faults:
        db = opener.writer()
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


async def rebuild(path: Path) -> int:
    """Write the whole file anew; see `agentflow.store.care.vacuum`."""
    with alone(path) as db:
        before = number(db, "PRAGMA page_count")
        one(db, "PRAGMA auto_vacuum=INCREMENTAL")
        await anyio.to_thread.run_sync(rows, db, "VACUUM")
        await _shrink(db)
        return max(0, before - number(db, "PRAGMA page_count")) * number(db, "PRAGMA page_size")
