"""Which step of a scope waits for which: explicit dependencies and the implicit order of a list.

A step without `depends_on`/`depends_on_any` gets implicit edges: a sequential one waits for all open sinks above it, a
parallel one for the open sinks above its block of neighbouring parallel steps. Where a block of several steps would
wait for several sinks, a *barrier* (a node that isn't a step) stands between: the number of edges stays O(V+E).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agentflow.definition.models import Execution, Step


class Order(NamedTuple):
    """The edges of one scope. Nodes 0 … size-1 are its steps in definition order, higher ones are barriers."""

    size: int
    """Number of steps."""
    successors: tuple[tuple[int, ...], ...]
    """Per node: who waits for it, by `depends_on` or implicitly. Unknown ids are left out."""
    waiting: tuple[int, ...]
    """Per node: for how many nodes it waits in that way."""
    any_of: tuple[tuple[int, ...], ...]
    """Per step: the members of its `depends_on_any`."""
    any_successors: tuple[tuple[int, ...], ...]
    """Per step: who names it in `depends_on_any`."""
    implicit: frozenset[int]
    """Steps whose edges are implicit."""


def order(steps: Sequence[Step], execution: Execution) -> Order:
    """Work out the order of one scope, in time linear in its steps and dependencies.

    Args:
        steps: the scope's steps.
        execution: what steps without an `execution` of their own get.
    """
    builder = _Builder(steps, execution)
    for number, step in enumerate(steps):
        if step.depends_on or step.depends_on_any:
            builder.explicit(number, step)
        elif (step.execution or execution) == "parallel":
            builder.parallel(number)
        else:
            builder.sequential(number)
        builder.sinks[number] = None
    return builder.order()


class _Builder:
    """Collects edges, step by step from above."""

    def __init__(self, steps: Sequence[Step], execution: Execution) -> None:
        self.steps = steps
        self.execution = execution
        self.ids = {step.id: number for number, step in enumerate(steps)}
        self.successors: list[list[int]] = [[] for _ in steps]
        self.waiting = [0] * len(steps)
        self.any_of: list[tuple[int, ...]] = [()] * len(steps)
        self.any_successors: list[list[int]] = [[] for _ in steps]
        self.implicit: set[int] = set()
        self.sinks: dict[int, None] = {}
        """Steps so far that nobody waits for."""
        self.block: list[int] | None = None
        """What the steps of the current parallel block wait for."""

    def _connect(self, source: int, target: int) -> None:
        self.successors[source].append(target)
        self.waiting[target] += 1

    def explicit(self, number: int, step: Step) -> None:
        """Add a step with dependencies of its own."""
        for name in dict.fromkeys(step.depends_on):
            if name in self.ids:
                self._connect(self.ids[name], number)
                self.sinks.pop(self.ids[name], None)
        self.any_of[number] = tuple(dict.fromkeys(self.ids[n] for n in step.depends_on_any if n in self.ids))
        for other in self.any_of[number]:
            self.any_successors[other].append(number)
        if len(self.any_of[number]) == 1:  # of several the others may still go on
            self.sinks.pop(self.any_of[number][0], None)

    def parallel(self, number: int) -> None:
        """Add a step of a parallel block: it waits for what is above the block."""
        self.implicit.add(number)
        if self.block is None:
            self.block = list(self.sinks)
            self.sinks.clear()
            if len(self.block) > 1 and self._goes_on(number):
                barrier = len(self.successors)
                self.successors.append([])
                self.waiting.append(0)
                for source in self.block:
                    self._connect(source, barrier)
                self.block = [barrier]
        for source in self.block:
            self._connect(source, number)

    def _goes_on(self, number: int) -> bool:
        """Tell whether another step follows in the parallel block that begins here."""
        for following in range(number + 1, len(self.steps)):
            step = self.steps[following]
            if not (step.depends_on or step.depends_on_any):
                return (step.execution or self.execution) == "parallel"
        return False

    def sequential(self, number: int) -> None:
        """Add a step that waits for everything above it."""
        self.implicit.add(number)
        self.block = None
        for source in self.sinks:
            self._connect(source, number)
        self.sinks.clear()

    def order(self) -> Order:
        """Return what was collected."""
        return Order(
            size=len(self.steps),
            successors=tuple(map(tuple, self.successors)),
            waiting=tuple(self.waiting),
            any_of=tuple(self.any_of),
            any_successors=tuple(map(tuple, self.any_successors)),
            implicit=frozenset(self.implicit),
        )
