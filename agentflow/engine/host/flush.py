"""What one flush takes in, claims and commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agentflow.engine.host.queue import Item
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState, Tree
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
        self.computed = 0
        """How many steps were executed in this transaction."""
        self.changes: list[RunChange] = []
        self.again: list[Item] = []
        """What is to be carried out again, before all else: it was refused."""
