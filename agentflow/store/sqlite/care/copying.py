"""Copies of databases as files: made page by page, and put in their place whole."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread
import apsw

from agentflow.errors import StoreError
from agentflow.store.findings import Progress
from agentflow.store.sqlite.faults import store_error
from agentflow.store.sqlite.file.log import log_of
from agentflow.store.sqlite.place import pause
from agentflow.store.sqlite.sql import do, number, one

PAGES = 256
"""Pages that are copied in one step."""
RESTARTS = 3
"""How often a copy begins anew because somebody has committed, before it keeps the snapshot that it copies."""


async def copy_to(db: apsw.Connection, part: Path, progress: Progress | None) -> None:
    """Copy a database into a new file."""
    with apsw.Connection(str(part)) as target:
        await copy_pages(db, target, progress)
    target.close()
    # A copy is one file: with a log beside it, half of it would soon be forgotten somewhere.
    target = apsw.Connection(str(part))
    try:
        one(target, "PRAGMA journal_mode=DELETE")
    finally:
        target.close()


async def copy_pages(source: apsw.Connection, target: apsw.Connection, progress: Progress | None = None) -> None:
    """Copy page by page. Between two steps nobody is held up; a commit of somebody else lets it begin anew.

    A busy engine commits all the time: after a few vain attempts the copy keeps one snapshot to its end, which lets the
    log grow by what is written meanwhile.
    """
    restarts, left = 0, -1
    copying = target.backup("main", source, "main")
    try:
        while not copying.done:
            try:
                await anyio.to_thread.run_sync(copying.step, PAGES)
            except (apsw.BusyError, apsw.LockedError):
                await anyio.sleep(pause())
                continue
            if copying.remaining > left >= 0:
                restarts += 1
            left = copying.remaining
            if restarts == RESTARTS and not source.in_transaction:
                do(source, "BEGIN")
                number(source, "SELECT count(*) FROM sqlite_master")
            if progress is not None:
                progress(copying.page_count - left, copying.page_count)
    finally:
        copying.finish()
        if source.in_transaction:
            do(source, "ROLLBACK")


@contextmanager
def at(source: Path, target: Path) -> Generator[None]:
    """Tell what went wrong with a copy: damage is the source's, everything else the target's."""
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise store_error(error, source) from error
    except apsw.Error as error:
        raise store_error(error, target) from error
    except OSError as error:
        raise StoreError(
            f"The file {target} can't be written.",
            code="AF-STORE-OPEN",
            why=(error.strerror or str(error)).lower(),
            hint="Name a file in a folder that this user may write.",
        ) from error


@contextmanager
def fresh(target: Path) -> Generator[Path]:
    """Give the name of a file to write beside a target; what is left of it is removed."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
    finally:
        _remove(part)


def put(part: Path, target: Path) -> None:
    """Give a file its name, so that a power cut leaves the old or the new one whole."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
    if os.name != "nt":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _remove(part: Path) -> None:
    for path in (part, log_of(part), part.with_name(part.name + "-shm"), part.with_name(part.name + "-journal")):
        with suppress(OSError):
            path.unlink()
