"""Where runs are kept: the contract, and a store for every need."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from agentflow.errors import StoreError
from agentflow.store.contract import Store

__all__ = ("Store", "open_store")

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
    text = str(location)
    if text in (":memory:", "memory:"):
        from agentflow.store.sqlite import open_memory  # noqa: PLC0415  only who uses a store pays for it

        return await open_memory()
    _, found, rest = text.partition("://")
    unknown = unknown_kind(text)
    if unknown is not None:
        raise StoreError(unknown, code="AF-STORE-KIND", hint=KIND_HINT)
    from agentflow.store.sqlite import open_sqlite  # noqa: PLC0415

    return await open_sqlite(Path(rest.removeprefix("/") if found else text), durability=durability)
