"""Which step of a scope waits for which: explicit dependencies and the implicit order of a list.

A step without `depends_on`/`depends_on_any` gets implicit edges: a sequential one waits for all open sinks above it, a
parallel one for the open sinks above its block of neighbouring parallel steps. Where a block of several steps would
wait for several sinks, a *barrier* (a node that isn't a step) stands between: the number of edges stays O(V+E).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentflow.definition.models import Execution, Step


@dataclass(frozen=True, slots=True)
class Order:
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
    size = len(steps)
    ids = {step.id: number for number, step in enumerate(steps)}
    successors: list[list[int]] = [[] for _ in range(size)]
    waiting = [0] * size
    any_of: list[tuple[int, ...]] = [()] * size
    any_successors: list[list[int]] = [[] for _ in range(size)]
    implicit: set[int] = set()

    def connect(source: int, target: int) -> None:
        successors[source].append(target)
        waiting[target] += 1

    sinks: dict[int, None] = {}
    block_sources: list[int] | None = None
    for number, step in enumerate(steps):
        if step.depends_on or step.depends_on_any:
            for name in dict.fromkeys(step.depends_on):
                if name in ids:
                    connect(ids[name], number)
                    sinks.pop(ids[name], None)
            any_of[number] = tuple(dict.fromkeys(ids[name] for name in step.depends_on_any if name in ids))
            for other in any_of[number]:
                any_successors[other].append(number)
                sinks.pop(other, None)
        elif (step.execution or execution) == "parallel":
            implicit.add(number)
            if block_sources is None:
                block_sources = list(sinks)
                if len(block_sources) > 1 and _goes_on(steps, number, execution):
                    barrier = len(successors)
                    successors.append([])
                    waiting.append(0)
                    for source in block_sources:
                        connect(source, barrier)
                    block_sources = [barrier]
                for source in list(sinks):
                    del sinks[source]
            for source in block_sources:
                connect(source, number)
        else:
            implicit.add(number)
            block_sources = None
            for source in sinks:
                connect(source, number)
            sinks.clear()
        sinks[number] = None
    return Order(
        size=size,
        successors=tuple(map(tuple, successors)),
        waiting=tuple(waiting),
        any_of=tuple(any_of),
        any_successors=tuple(map(tuple, any_successors)),
        implicit=frozenset(implicit),
    )


def _goes_on(steps: Sequence[Step], number: int, execution: Execution) -> bool:
    """Tell whether another step follows in the parallel block that begins here."""
    for step in steps[number + 1 :]:
        if step.depends_on or step.depends_on_any:
            continue
        return (step.execution or execution) == "parallel"
    return False
