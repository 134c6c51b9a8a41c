"""Care of a store: copying it while it is in use, putting a copy back, looking for damage, giving free space back.

These work on a store's place, not on an open store: what they find must not depend on what a process has in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agentflow.errors import StoreError
from agentflow.store.places import there

if TYPE_CHECKING:
    from agentflow.store.findings import Glance, Progress, Report, Restored

_MAGIC = b"SQLite format 3\0"
_HEAD = 105
_LEAF = 100
_TABLE_LEAF = 13
_TABLES = slice(103, 105)
"""Of a database's first page: how much we look at, its kind, and how many tables and indexes are named on it."""


def place_of(location: str | Path) -> Path:
    """Return the file of a store's location.

    Raises:
        StoreError: it isn't kept in a file, or there is no such file.
    """
    path = file_of(location)
    if not there(path):
        raise StoreError(f"There is no store {path}.", code="AF-STORE-MISSING", hint="Name another one: --store PATH")
    return path


def refuse_empty(location: str | Path) -> None:
    """Refuse a file that is there and holds nothing: only who makes a store may turn it into one.

    Raises:
        StoreError: it is empty, or a database without any table.
    """
    path = file_of(location)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:  # what it holds may still stand there
            return
    except OSError:  # opening it tells what is wrong
        return
    holds = len(head) < _HEAD or not head.startswith(_MAGIC) or head[_TABLES] != b"\0\0" or head[_LEAF] != _TABLE_LEAF
    if head and holds:
        return
    raise StoreError(
        f"The file {path} is empty: it isn't a store. Nothing was changed.",
        code="AF-STORE-MISSING",
        hint="Name the file of a store with --store, or remove this one: the next run makes a store",
    )


def file_of(location: str | Path) -> Path:
    """Return the file that a store's location means, whether it is there or not."""
    scheme, found, rest = str(location).partition("://")
    if str(location) in (":memory:", "memory:") or (found and scheme != "sqlite"):
        raise StoreError(
            f"The store {str(location)!r} isn't kept in a file.",
            code="AF-STORE-KIND",
            hint="Name a path such as .agentflow/runs.db",
        )
    return Path(rest.removeprefix("/") if found else str(location))


async def backup(
    location: str | Path, target: Path, *, replace: bool = False, progress: Progress | None = None
) -> Report:
    """Copy a store into one file, while engines go on using it; the copy is checked before it gets its name.

    Args:
        location: the store.
        target: file to write.
        replace: a file that is there may be replaced.
        progress: told how far it is.

    Returns:
        What the copy holds.

    Raises:
        StoreError: the store can't be read, or the copy can't be written: `target` is as it was. With
            `AF-STORE-DAMAGED` and `data["copy"]` everything was copied as it is, but some of it is damaged: the copy is
            `target`, or `target` with `.damaged` behind it where a file was there.
    """
    from agentflow.store.sqlite.care.backups import back_up  # noqa: PLC0415  the database driver is loaded where it is used

    return await back_up(place_of(location), target, replace=replace, progress=progress)


async def restore(location: str | Path, source: Path, *, replace: bool = False, damaged: bool = False) -> Restored:
    """Put a copy in place of a store that nobody uses; what was there before is kept in a file beside it.

    Args:
        location: the store.
        source: a file that `backup` has written.
        replace: a store that has runs may be replaced.
        damaged: a copy that is damaged is taken too, as it is.

    Raises:
        StoreError: the copy is damaged or from a newer version, or somebody uses the store. Nothing was changed.
    """
    from agentflow.store.sqlite.care.restoring import put_back  # noqa: PLC0415

    return await put_back(file_of(location), source, replace=replace, damaged_too=damaged)


async def check(location: str | Path) -> Report:
    """Look for damage: the file's structure, the stored hash of every result, rows that belong to nothing.

    Raises:
        StoreError: it isn't a store, or comes from a newer version.
    """
    from agentflow.store.sqlite.care.check import look_over  # noqa: PLC0415

    return await look_over(place_of(location))


def glance(location: str | Path) -> Glance:
    """Look at a store without changing it, and without reading much of it.

    Raises:
        StoreError: it isn't a store, can't be read, or comes from a newer version.
    """
    from agentflow.store.sqlite.care.glance import glance_at  # noqa: PLC0415

    return glance_at(place_of(location))


async def vacuum(location: str | Path, *, full: bool = False, progress: Progress | None = None) -> int:
    """Give free space back to the disk, in small steps while engines go on; returns the bytes given back.

    Args:
        location: the store.
        full: write the whole file anew instead; nobody may use the store meanwhile. It also goes on from a damaged log
            with the commits that can be read.
        progress: told how far it is.

    Raises:
        StoreError: somebody uses it and shouldn't, or there is no room for it.
    """
    from agentflow.store.sqlite.care.compact import compact, rebuild  # noqa: PLC0415

    path = place_of(location)
    return await (rebuild(path) if full else compact(path, progress))
