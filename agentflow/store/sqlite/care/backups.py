"""Copying a database while it is in use, and putting a copy in its place."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread
import apsw

from agentflow.errors import StoreError
from agentflow.store.findings import Progress, Report, Restored, first_problem
from agentflow.store.places import there
from agentflow.store.sqlite.care.alone import alone, in_use, inspected
from agentflow.store.sqlite.care.check import look_over
from agentflow.store.sqlite.faults import Faults, store_error
from agentflow.store.sqlite.file.log import checkpointed, damaged, log_of
from agentflow.store.sqlite.file.mounts import refuse_network
from agentflow.store.sqlite.locks import users
from agentflow.store.sqlite.place import pause
from agentflow.store.sqlite.sql import do, number, one

PAGES = 256
"""Pages that are copied in one step."""
RESTARTS = 3
"""How often a copy begins anew because somebody has committed, before it keeps the snapshot that it copies."""


async def back_up(path: Path, target: Path, *, replace: bool, progress: Progress | None) -> Report:
    """Copy a store; see `agentflow.store.care.backup`."""
    _refuse_existing(path, target, replace=replace)
    with fresh(target) as part:
        with inspected(path) as (db, _, fault):
            if fault:
                raise damaged(fault, path)
            with _at(path, target):
                await _copy_to(db, part, progress)
                shutil.copymode(path, part)
        report = await look_over(part)
        if report.findings:
            target = _beside_good(target)
        with _at(path, target):
            _put(part, target)
    if report.findings:
        raise first_problem(path, report.findings, copy=target)
    report.path = str(target)
    return report


def _refuse_existing(path: Path, target: Path, *, replace: bool) -> None:
    if there(target) and (target.is_dir() or path.samefile(target)):
        raise StoreError(
            f"{target} is {'a folder' if target.is_dir() else 'the store itself'}.",
            code="AF-STORE-EXISTS",
            hint="Name another file for the copy.",
        )
    if there(target) and not replace:
        raise StoreError(f"There is a file {target} already.", code="AF-STORE-EXISTS", hint="Replace it with --yes.")


def _beside_good(target: Path) -> Path:
    """Return where a damaged copy goes: it never replaces what may be a good one."""
    return target.with_name(f"{target.name}.damaged") if target.exists() else target


async def _copy_to(db: apsw.Connection, part: Path, progress: Progress | None) -> None:
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


# restoring


async def put_back(path: Path, source: Path, *, replace: bool, damaged_too: bool) -> Restored:
    """Put a copy in place of a store; see `agentflow.store.care.restore`."""
    _refuse_source(path, source)
    refuse_network(path)
    report = await look_over(source)
    if report.findings and not damaged_too:
        raise first_problem(source, report.findings, restoring=True)
    kept: Path | None = None
    if not _something(path):
        await _fresh(path, source)
    else:
        beside = _beside(path)
        if await _usable(path):
            kept = await _over(path, source, beside, replace=replace)
        else:
            _move_away(path, beside, replace=replace)
            kept = beside
            await _fresh(path, source)
    return Restored(report.runs, str(kept) if kept else None)


def _refuse_source(path: Path, source: Path) -> None:
    if not (there(source) and source.is_file()):
        raise StoreError(f"There is no file {source}.", code="AF-STORE-MISSING", hint="Name the file of a backup.")
    if there(path) and path.samefile(source):
        raise StoreError(f"{source} is the store itself.", code="AF-STORE-EXISTS", hint="Name the file of a backup.")


def _something(path: Path) -> bool:
    return there(path) and path.stat().st_size > 0


async def _usable(path: Path) -> bool:
    """Tell whether a database and its log can be read, so that it can be kept and replaced under its own lock."""
    try:
        with inspected(path) as (db, _, fault):
            number(db, "SELECT count(*) FROM heads")
            return fault is None
    except (StoreError, apsw.Error):
        return False


async def _over(path: Path, source: Path, beside: Path, *, replace: bool) -> Path | None:
    """Write the copy over the database in one transaction: whoever opens it meanwhile waits."""
    kept: Path | None = None
    with alone(path) as db:
        runs = number(db, "SELECT count(*) FROM heads WHERE parent IS NULL")
        if runs:
            _refuse_replacing(path, f"It has {runs} run{'s' if runs != 1 else ''}.", replace=replace)
            kept = beside
            with Faults(beside):
                await _copy_to(db, beside, None)
        with inspected(source) as (copy, _, _):
            await copy_pages(copy, db)
        checkpointed(db, "TRUNCATE")
    return kept


async def _fresh(path: Path, source: Path) -> None:
    with fresh(path) as part, inspected(source) as (copy, _, _), _at(source, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        await _copy_to(copy, part, None)
        _put(part, path)


def _move_away(path: Path, beside: Path, *, replace: bool) -> None:
    """Put a database that can't be read aside as it is, with its log."""
    if any(user.pid != os.getpid() for user in users(path) or ()):
        raise in_use(path)
    _refuse_replacing(path, "It can't be read.", replace=replace)
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(beside.with_name(beside.name + suffix))


def _refuse_replacing(path: Path, why: str, *, replace: bool) -> None:
    if not replace:
        raise StoreError(
            f"There is a store {path} already.",
            code="AF-STORE-EXISTS",
            why=why,
            hint="Replace it with --yes: it is kept in a file beside.",
        )


def _beside(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    beside, n = path.with_name(f"{path.name}.before-{stamp}"), 1
    while beside.exists():
        beside, n = path.with_name(f"{path.name}.before-{stamp}-{n}"), n + 1
    return beside


# files


@contextmanager
def _at(source: Path, target: Path) -> Generator[None]:
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


def _put(part: Path, target: Path) -> None:
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
