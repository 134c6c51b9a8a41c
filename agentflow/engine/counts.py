"""What is counted about steps for people: how far a loop is, and what of it failed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agentflow.data import is_array
from agentflow.engine.decided import salvaged_of
from agentflow.store.rows import TERMINAL, StepRow

SATISFIED = frozenset({"condition", "entry_point", "branch", "tolerated", "ended", "operator"})
"""Reasons with which a canceled step counts as satisfied for those that wait for it."""
LOOPS = ("for_each", "while", "until", "recur")
"""Types whose steps have the number of their iteration in their addresses."""


class Items(NamedTuple):
    """How far a loop is."""

    done: int
    """Iterations that have ended, and nothing in them failed."""
    failed: int
    """Iterations in which something failed, tolerated or not."""
    total: int
    """All of them: the items that the loop was given, or the iterations so far."""


def count_items(row: StepRow, inside: Sequence[StepRow], size: int = 1) -> Items:
    """Count a loop's iterations.

    Args:
        row: the loop's.
        inside: rows of everything inside it.
        size: how many steps an iteration has.
    """
    start = len(row.address)
    ended: dict[str, int] = {}
    state: dict[str, str] = {}
    for inner in inside:
        label, _, rest = inner.address[start:].partition("]")
        before = state.get(label, "done")
        if inner.state == "failed" or inner.reason == "tolerated":
            state[label] = "failed"
        elif before != "failed" and not (inner.state in TERMINAL and satisfied(inner)):
            state[label] = "open"
        else:
            state[label] = before
        if "/" not in rest[1:] and "#" not in rest:
            ended[label] = ended.get(label, 0) + (inner.state in TERMINAL)
    failed = sum(1 for one in state.values() if one == "failed")
    done = sum(1 for label, one in state.items() if one == "done" and ended.get(label, 0) >= size)
    total = max(len(state), given(row))
    return Items(total - failed if row.state == "completed" else done, failed, total)


def given(row: StepRow) -> int:
    """Return how many items a loop was given, as it has stored them."""
    items = (salvaged_of(row.memo).own or {}).get("items")
    return len(items) if is_array(items) else 0


def satisfied(row: StepRow) -> bool:
    """Tell whether what depends on a step may go on."""
    return row.state == "completed" or (row.state == "canceled" and (row.reason or "") in SATISFIED)


def tolerated_by(row: StepRow) -> int:
    """Return how many failures that were tolerated a step stands for."""
    count = salvaged_of(row.memo).tolerated if row.memo and b'"tolerated"' in row.memo else None
    return int(row.reason == "tolerated") if count is None else count  # older rows have no number
