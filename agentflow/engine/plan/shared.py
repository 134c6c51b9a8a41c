"""Shared keys of a run: each update is a row, folded in memory by the key's reducer."""

from __future__ import annotations

from typing import Any

from agentflow.data import is_array
from agentflow.engine.gate import REDUCED, SHARED
from agentflow.engine.state import Node, RunState
from agentflow.engine.view import NodeView
from agentflow.steps.failing import step_error
from agentflow.store.rows import (
    SharedRow,
)


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
    declared = run.program.workflow.context.get(row.key)
    old = run.shared.values.get(row.key, declared.default if declared else None)
    run.shared.values[row.key] = reduced(run, declared.reducer if declared else "last", old, value)
    run.shared.updates.append(row)


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
    function = run.tree.world.function(reducer)
    try:
        made = function(old, new)
    except BaseException as error:  # the user's code may raise anything
        raise step_error(error, code="AF-STEP-RAISED") from error
    return run.tree.world.gate.data(made, REDUCED)
