"""What one flush takes in, claims and commits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import anyio

from agentflow.engine.host.queue import Item
from agentflow.engine.plan.state import Node, RunState, Tree
from agentflow.store.rows import RunChange


class Work(NamedTuple):
    """A claimed step, whose attempt is made when a worker comes to it."""

    run: int
    n: int
    attempt: int
    again: bool = False
    """Whether a host before this one has handed it out."""


class Flush:
    """The transitions of many trees that share a transaction."""

    def __init__(self, held: Sequence[Item], trees: list[Tree]) -> None:
        """Begin with inputs that were applied, and the trees that they changed."""
        self.held = held
        self.trees = trees
        self.claimed: list[tuple[RunState, Node]] = []
        self.taken: list[tuple[RunState, Node]] = []
        """Steps that are taken over as they were handed out."""
        self.changes: list[RunChange] = []
        self.later: list[Item] = []
        """What comes in for these trees while it is being committed."""
        self._landed: anyio.Event | None = None

    @cached_property
    def roots(self) -> frozenset[int]:
        """Keys of the trees."""
        return frozenset([tree.key for tree in self.trees])

    async def landed(self) -> None:
        """Return when it is committed, or when that has failed and what follows from it is done."""
        if self._landed is None:
            self._landed = anyio.Event()
        await self._landed.wait()

    def end(self) -> None:
        """Note that nothing more will come of it."""
        if self._landed is not None:
            self._landed.set()
