"""Shared keys of a run: each update is a row, folded in memory by the key's reducer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentflow.data import decode, is_array
from agentflow.engine.gate import SHARED
from agentflow.engine.state import Node, RunState
from agentflow.engine.view import NodeView
from agentflow.steps.failing import step_error
from agentflow.store.common import INSIDE
from agentflow.store.rows import SharedRow, added


def update(run: RunState, node: Node) -> None:
    """Write the updates of a step that completes; they see its own result."""
    compiled = node.program.update
    if compiled is None:
        return
    values: dict[str, Any] = compiled.render(NodeView(run, node.scope, node.values))
    gate = run.tree.world.gate
    rows = [SharedRow(run.key, key, node.address, gate.encoded(value, SHARED)) for key, value in values.items()]
    before, count = dict(run.shared.values), len(run.shared.updates)
    try:
        for row in rows:
            fold(run, row, values[row.key])
    except Exception:  # none of them counts, or the run could never be read again
        run.shared.values = before
        del run.shared.updates[count:]
        raise
    change = run.changes()
    change.shared = [*change.shared, *rows]


def fold(run: RunState, row: SharedRow, value: Any) -> None:
    """Fold one update into its key."""
    shared, declared = run.shared, run.program.workflow.context.get(row.key)
    if shared.broken:
        shared.check(row.key)
    old = shared.values.get(row.key, declared.default if declared else None)
    shared.values[row.key] = reduced(run, declared.reducer if declared else "last", old, value)
    shared.updates.append(row)


def refold(run: RunState, rows: Sequence[SharedRow]) -> None:
    """Fold updates that are stored; where a reducer can't, its key is broken, and the run goes on without it."""
    for row in rows:
        try:
            fold(run, row, decode(row.value))
        except Exception as error:  # a reducer that is gone, or fails now: it is the user's code
            run.shared.broken.setdefault(row.key, step_error(error, code="AF-STEP-RAISED"))
            run.shared.updates.append(row)


def take_back(run: RunState, node: Node) -> None:
    """Let nothing count that a failed attempt of a container wrote: the next attempt begins."""
    shared = run.shared
    inside = tuple(f"{node.address}{sign}" for sign in INSIDE)
    keys = {row.key for row in shared.updates if row.address.startswith(inside)}
    if not keys:
        return
    left, shared.updates = shared.updates, []
    left = [row for row in left if not row.address.startswith(inside)]
    shared.updates.extend(row for row in left if row.key not in keys)
    for key in keys:
        shared.values.pop(key, None)
        shared.broken.pop(key, None)
    refold(run, [row for row in left if row.key in keys])
    change = run.changes()
    change.shared = [row for row in change.shared if not row.address.startswith(inside)]
    change.drop_shared = added(change.drop_shared, node.address)


def reduced(run: RunState, reducer: str, old: Any, new: Any) -> Any:
    """Apply a reducer to an old and a new value."""
    if reducer == "last":
        return new
    if reducer == "append":
        return [*(old or []), new]
    if reducer == "add":
        return new if old is None else old + new
    if reducer == "union":
        known: list[Any] = old or []
        items: list[Any] = new if is_array(new) else [new]
        return [*known, *(item for item in items if item not in known)]
    if reducer == "merge":
        merged: dict[str, Any] = {**(old or {}), **new}
        return merged
    return run.tree.world.reduce(reducer, old, new)
