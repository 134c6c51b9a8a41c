"""Putting a copy in the place of a database."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import apsw

from agentflow.errors import StoreError
from agentflow.store.findings import Restored, first_problem
from agentflow.store.places import there
from agentflow.store.sqlite.care.check import look_over
from agentflow.store.sqlite.care.copying import at, copy_pages, copy_to, fresh, put
from agentflow.store.sqlite.care.exclusive import exclusive, in_use, inspected
from agentflow.store.sqlite.faults import Faults
from agentflow.store.sqlite.file.log import checkpointed
from agentflow.store.sqlite.file.mounts import refuse_network
from agentflow.store.sqlite.locks import users
from agentflow.store.sqlite.sql import number


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
    with exclusive(path) as db:
        runs = number(db, "SELECT count(*) FROM heads WHERE parent IS NULL")
        if runs:
            _refuse_replacing(path, f"It has {runs} run{'s' if runs != 1 else ''}.", replace=replace)
            kept = beside
            with Faults(beside):
                await copy_to(db, beside, None)
        with inspected(source) as (copy, _, _):
            await copy_pages(copy, db)
        checkpointed(db, "TRUNCATE")
    return kept


async def _fresh(path: Path, source: Path) -> None:
    with fresh(path) as part, inspected(source) as (copy, _, _), at(source, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        await copy_to(copy, part, None)
        put(part, path)


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
