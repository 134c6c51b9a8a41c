"""Where runs are kept: the contract, and a store for every need."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from agentflow.clock import Clock
from agentflow.errors import StoreError
from agentflow.store.contract import Store

__all__ = ("Store", "open_store")


async def open_store(
    location: str | Path, *, durability: Literal["strict", "relaxed"] = "strict", clock: Clock | None = None
) -> Store:
    """Open a store, making it if it isn't there yet. Opening executes nothing.

    Args:
        location: a path, `sqlite:///path`, or `:memory:`.
        durability: `strict` survives a power cut, `relaxed` the death of the process.
        clock: for the few times that no caller gives.

    Raises:
        StoreError: there is something at this place that isn't a store, or can't be used.
    """
    text = str(location)
    if text in (":memory:", "memory:"):
        from agentflow.store.memory import MemoryStore  # noqa: PLC0415  only who uses a store pays for it

        return MemoryStore(clock=clock)
    scheme, found, rest = text.partition("://")
    if found and scheme != "sqlite":
        raise StoreError(
            f"There is no kind of store named {scheme!r}.",
            code="AF-STORE-KIND",
            hint="Use a path such as .agentflow/runs.db, or sqlite:///path/to/runs.db",
        )
    from agentflow.store.sqlite import open_sqlite  # noqa: PLC0415  the database driver is loaded where it is used

    return await open_sqlite(Path(rest.removeprefix("/") if found else text), durability=durability, clock=clock)
