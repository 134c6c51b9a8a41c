"""Where runs are kept: the contract, and a store for every need."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agentflow.errors import StoreError

if TYPE_CHECKING:
    from agentflow.store.contract import Readable, Store

__all__ = ("look_into", "open_store")

KIND_HINT = "use a path such as .agentflow/runs.db, or sqlite:///path/to/runs.db"
"""What to do about an unknown kind of store."""


def unknown_kind(location: str) -> str | None:
    """Say that there is no such kind of store as a URL names; None for a path or a known kind."""
    kind, found, _ = location.partition("://")
    return f'there is no kind of store named "{kind}"' if found and kind != "sqlite" else None


async def open_store(location: str | Path, *, durability: Literal["strict", "relaxed"] = "strict") -> Store:
    """Open a store, making it if it isn't there yet. Opening executes nothing.

    Args:
        location: a path, `sqlite:///path`, or `:memory:`.
        durability: `strict` survives a power cut, `relaxed` the death of the process.

    Raises:
        StoreError: there is something at this place that isn't a store, or can't be used.
    """
    path = _path_of(location)
    if path is None:
        from agentflow.store.sqlite.store import open_memory  # noqa: PLC0415  only who uses a store pays for it

        return await open_memory()
    from agentflow.store.sqlite.store import open_sqlite  # noqa: PLC0415

    return await open_sqlite(path, durability=durability)


@contextmanager
def look_into(location: str | Path) -> Generator[Readable | None]:
    """Open a store to look at it, which needs no event loop: what it is asked, it answers without suspending.

    Args:
        location: of a store that is there; see `open_store`.

    Yields:
        The store; None where only `open_store` can open it: one in memory, or of an older version.

    Raises:
        StoreError: it isn't a store, or can't be read.
    """
    path = _path_of(location)
    if path is None:
        yield None
        return
    from agentflow.store.sqlite.looking import looking  # noqa: PLC0415  only who uses a store pays for it

    with looking(path) as found:
        yield found


def _path_of(location: str | Path) -> Path | None:
    """Return the file of a store, or None for one in memory; raises StoreError for an unknown kind."""
    text = str(location)
    if text in (":memory:", "memory:"):
        return None
    unknown = unknown_kind(text)
    if unknown is not None:
        raise StoreError(unknown, code="AF-STORE-KIND", hint=KIND_HINT)
    _, found, rest = text.partition("://")
    return Path(rest.removeprefix("/") if found else text)
