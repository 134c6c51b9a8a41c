"""Copying a database into one file while it is in use."""

from __future__ import annotations

import shutil
from pathlib import Path

from agentflow.errors import StoreError
from agentflow.store.findings import Progress, Report, first_problem
from agentflow.store.places import there
from agentflow.store.sqlite.care.check import look_over
from agentflow.store.sqlite.care.copying import at, copy_to, fresh, put
from agentflow.store.sqlite.care.exclusive import inspected
from agentflow.store.sqlite.file.loss import damaged


async def back_up(path: Path, target: Path, *, replace: bool, progress: Progress | None) -> Report:
    """Copy a store; see `agentflow.store.care.backup`."""
    _refuse_existing(path, target, replace=replace)
    with fresh(target) as part:
        with inspected(path) as (db, _, fault):
            if fault:
                raise damaged(fault, path)
            with at(path, target):
                await copy_to(db, part, progress)
                shutil.copymode(path, part)
        report = await look_over(part)
        if report.findings:
            target = _beside_good(target)
        with at(path, target):
            put(part, target)
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
