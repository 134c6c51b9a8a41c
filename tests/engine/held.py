"""A store whose commits a test holds back, so that other things happen during one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from agentflow.definition.models import Workflow
from agentflow.engine import Engine
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState, Tree
from agentflow.store import open_store
from agentflow.store.acknowledgement import Fenced
from agentflow.store.contract import Definitions, Store
from agentflow.store.rows import RunChange
from tests.engine.lab import LIMIT, Lab


class Held:
    """Commits of a store: one after the other, and nothing is planned meanwhile."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.after = False
        """Hold a commit when the store has it already, rather than before."""
        self.turns = 0
        """How often the loop comes round during each commit."""
        self.fault: Callable[[Sequence[RunChange]], Exception | None] = lambda _: None
        """What a commit of some changes raises."""
        self.committing: frozenset[int] = frozenset()
        """Roots of what is being committed."""
        self.commits: list[frozenset[int]] = []
        """Roots of what was to be committed, in order."""
        self.wrong: list[str] = []
        self._real = store.commit
        self._go: anyio.Event | None = None
        store.commit = self._commit

    def hold(self) -> None:
        """Hold commits back from now on."""
        self._go = anyio.Event()

    def let_go(self) -> None:
        """Let what is held be committed, and what comes."""
        if self._go is not None:
            self._go.set()
            self._go = None

    async def entered(self) -> None:
        """Return when a commit is on its way, and nothing else can happen."""
        with anyio.fail_after(LIMIT):
            while not self.committing:
                await checkpoint()
            await anyio.wait_all_tasks_blocked()

    @asynccontextmanager
    async def open(self, lab: Lab, *flows: Workflow, **options: Any) -> AsyncGenerator[Engine]:
        """Open an engine whose plans are watched."""
        async with lab.open(*flows, store=self.store, **options) as engine:
            fill = engine.core.slots.fill

            def watched(trees: list[Tree], claimed: list[tuple[RunState, Node]]) -> None:
                fill(trees, claimed)
                if self.committing:
                    self.wrong.append("a flush was planned while one was committed")

            engine.core.slots.fill = watched
            try:
                yield engine
            finally:
                self.let_go()

    async def _commit(self, changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
        if self.committing:
            self.wrong.append("two commits at once")
        self.committing = frozenset(change.root for change in changes)
        self.commits.append(self.committing)
        planned = repr(changes)
        try:
            if not self.after:
                await self._suspend()
                if repr(changes) != planned:
                    self.wrong.append("what is committed was changed")
            error = self.fault(changes)
            if error is not None:
                raise error
            fenced = await self._real(changes, definitions)
            if self.after:
                await self._suspend()
            return fenced
        finally:
            self.committing = frozenset()

    async def _suspend(self) -> None:
        if self._go is not None:
            await self._go.wait()
        for _ in range(self.turns):
            await checkpoint()


@asynccontextmanager
async def held_store(place: Path | str) -> AsyncGenerator[Held]:
    """Open a store with commits to hold."""
    store = await open_store(place)
    held = Held(store)
    try:
        yield held
    finally:
        await store.close()
    assert held.wrong == []


def once(error: Exception, when: Callable[[Sequence[RunChange]], bool]) -> Callable[..., Exception | None]:
    """Return what raises an error in the first commit that it is meant for."""
    left = [error]

    def fault(changes: Sequence[RunChange]) -> Exception | None:
        return left.pop() if left and when(changes) else None

    return fault
