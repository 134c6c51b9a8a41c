"""A store that is far away: every call of it takes some turns of the loop, before and after the database has its own.

What happens meanwhile is what happens beside a database server: commands come in, other trees go on, and what was read
is old by the time that it is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from agentflow.store.common import frozen, report
from agentflow.store.contract import Definitions
from agentflow.store.rows import RunChange
from agentflow.store.sqlite import SqliteStore
from agentflow.store.told import Fenced

TURNS = 3
"""Of the loop, each way."""


@contextmanager
def far() -> Generator[None]:
    """Let all stores be far away."""
    with pytest.MonkeyPatch.context() as patch:
        for name in dir(SqliteStore):
            method = getattr(SqliteStore, name)
            if iscoroutinefunction(method) and not name.startswith("_"):
                patch.setattr(SqliteStore, name, _commits(method) if name == "commit" else _asks(method))
        yield


async def _travel() -> None:
    for _ in range(TURNS):
        await checkpoint()


def _asks(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def asked(*args: Any, **kwargs: Any) -> Any:
        await _travel()
        found = await method(*args, **kwargs)
        await _travel()
        return found

    return asked


def _commits(method: Callable[..., Awaitable[Sequence[Fenced]]]) -> Callable[..., Awaitable[Sequence[Fenced]]]:
    async def committed(
        store: SqliteStore, changes: Sequence[RunChange], definitions: Definitions = None
    ) -> Sequence[Fenced]:
        copies = frozen(changes)  # the contract: they are read before the first suspension
        await _travel()
        fenced = await method(store, copies, definitions)
        await _travel()
        report(changes, copies)
        return fenced

    return committed
