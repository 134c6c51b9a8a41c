"""What a tree with budgets keeps in mind: who is let in and how much is reserved for them, and who is held back.

It is a cache: all of it can be told from the steps and from what was used.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from agentflow.engine.plan.nodes import Node

Key = tuple[int, int]
"""Key of a run, number of a step."""
StepKey = tuple[str, str]
"""Workflow and address of a step, as all items of a loop have it."""


class Expected(NamedTuple):
    """What an attempt is expected to use."""

    cost: int
    tokens: int
    known: bool
    """False: nobody knows, as none of its step has come to its end, and its author says nothing."""
    step: StepKey


class Reserve(NamedTuple):
    """What is reserved for an attempt that is let in."""

    run: Any
    """State of its run."""
    node: Node
    attempt: int
    expected: Expected

    @property
    def has_begun(self) -> bool:
        """Whether it was claimed."""
        return self.node.attempt >= self.attempt

    @property
    def queues(self) -> bool:
        """Whether it waits for a slot of its key."""
        return self.node.n in self.run.queueing


class Treasury:
    """Of one tree."""

    __slots__ = ("admitted", "held", "holding", "silent")

    def __init__(self) -> None:
        """Begin with nobody."""
        self.admitted: dict[Key, Reserve] = {}
        self.held: dict[int, list[tuple[int, Node]]] = {}
        """Heaps of steps that wait, by run."""
        self.holding: list[tuple[Any, Node]] = []
        """Runs and steps that were held back in this transition though they have a slot of their key."""
        self.silent: set[StepKey] = set()
        """Steps of which an attempt has ended that has told no usage: it is expected that they use none."""
