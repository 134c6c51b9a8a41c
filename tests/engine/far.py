"""A store that is far away: every call of it takes some turns of the loop, before and after the database has its own.

What happens meanwhile is what happens beside a database server: commands come in, other trees go on, and what was read
is old by the time that it is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from inspect import iscoroutinefunction
from random import Random
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from agentflow.store.acknowledgement import Fenced
from agentflow.store.common import frozen, report
from agentflow.store.contract import Definitions
from agentflow.store.rows import RunChange
from agentflow.store.sqlite.store import SqliteStore

TURNS = 8
"""Fewer than so many turns of the loop does a call take each way: by lot, so that one overtakes another."""


@contextmanager
def far() -> Generator[None]:
    """Let all stores be far away."""
    lots = Random(0)
    with pytest.MonkeyPatch.context() as patch:
        for name in dir(SqliteStore):
            method = getattr(SqliteStore, name)
            if iscoroutinefunction(method) and not name.startswith("_"):
                patch.setattr(SqliteStore, name, _commits(method, lots) if name == "commit" else _asks(method, lots))
        yield


async def _travel(lots: Random) -> None:
    for _ in range(lots.randrange(TURNS)):
        await checkpoint()


def _asks(method: Callable[..., Awaitable[Any]], lots: Random) -> Callable[..., Awaitable[Any]]:
    async def asked(*args: Any, **kwargs: Any) -> Any:
        await _travel(lots)
        found = await method(*args, **kwargs)
        await _travel(lots)
        return found

    return asked


def _commits(
    method: Callable[..., Awaitable[Sequence[Fenced]]], lots: Random
) -> Callable[..., Awaitable[Sequence[Fenced]]]:
    async def committed(
        store: SqliteStore, changes: Sequence[RunChange], definitions: Definitions = None
    ) -> Sequence[Fenced]:
        copies = frozen(changes)  # the contract: they are read before the first suspension
        await _travel(lots)
        fenced = await method(store, copies, definitions)
        await _travel(lots)
        report(changes, copies)
        return fenced

    return committed
