"""Shared keys of a run: each update is a row, folded in memory by the key's reducer.

Reducers that are functions of the user never work here, but in a thread (`engine.reducing`): a step that needs what
they make waits for it, and so does a container that takes updates back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentflow.data import decode, encode, is_array
from agentflow.engine.gate import SHARED
from agentflow.engine.plan.carried import Folded, Reduced, Worked
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.engine.plan.view import NodeView
from agentflow.errors import StepError
from agentflow.steps.failing import step_error
from agentflow.store.common import INSIDE
from agentflow.store.rows import SharedRow, added

NOTHING = Worked()


def update(run: RunState, node: Node, worked: Worked | None = None) -> bool:
    """Write the updates of a step that completes; they see its own result.

    Returns:
        Whether they are written: else reducers of the user's have to work before. All of them are, or none.
    """
    compiled = node.program.update
    if compiled is None:
        return True
    values: dict[str, Any] = compiled.render(NodeView(run, node.scope, node.values))
    shared, gate, made = run.shared, run.tree.env.gate, (worked or NOTHING).reduced
    folded: dict[str, Any] = {}
    rows: list[SharedRow] = []
    for key, value in values.items():
        row = SharedRow(run.key, key, node.address, gate.encoded(value, SHARED))
        rows.append(row)
        if key not in run.program.reducers:
            folded[key] = _fold(run, row, value)
            continue
        found = made.get(key)
        if key not in shared.stale:
            shared.check(key)
        if found is None or key in shared.stale or not _fits(run, row, found):
            shared.ahead.pop(key, None)
            return False
        folded[key] = found.value
    shared.values.update(folded)
    shared.updates.extend(rows)
    change = run.changes()
    change.shared = [*change.shared, *rows]
    return True


def _fits(run: RunState, row: SharedRow, made: Reduced) -> bool:
    """Tell whether a reducer has worked on what is there now."""
    old = value_of(run, row.key)
    return encode(made.new) == row.value and (made.old is old or encode(made.old) == encode(old))


def value_of(run: RunState, key: str) -> Any:
    """Return the value of a key."""
    declared = run.program.workflow.context.get(key)
    return run.shared.values.get(key, declared.default if declared else None)


def _fold(run: RunState, row: SharedRow, value: Any) -> Any:
    """Return what one update makes of its key, by a reducer of ours."""
    if run.shared.broken:
        run.shared.check(row.key)
    declared = run.program.workflow.context.get(row.key)
    return reduced(declared.reducer if declared else "last", value_of(run, row.key), value)


def refold(run: RunState, rows: Sequence[SharedRow], folded: Folded | None) -> None:
    """Fold updates that are stored; where a reducer can't, its key is broken, and the run goes on without it.

    Args:
        run: the run.
        rows: the updates.
        folded: what reducers of the user's have made of theirs.
    """
    shared = run.shared
    for row in rows:
        shared.updates.append(row)
        if row.key in run.program.reducers:
            continue
        try:
            shared.values[row.key] = _fold(run, row, decode(row.value))
        except Exception as error:  # an update of other data: an older version has let it in
            shared.broken.setdefault(row.key, step_error(error, code="AF-STEP-RAISED"))
    if folded is not None:
        shared.stored = folded
        shared.stale.update(folded.stale)
        for key, value in folded.values.items():
            _set(run, key, value)


def _set(run: RunState, key: str, value: Any) -> None:
    """Note what a reducer of the user's has made of all updates of a key."""
    run.shared.values.pop(key, None)
    run.shared.broken.pop(key, None)
    if isinstance(value, StepError):
        run.shared.broken[key] = value
    else:
        run.shared.values[key] = value


def take_in(run: RunState, worked: Worked) -> None:
    """Take in what reducers of the user's have made of keys anew, unless these have been updated meanwhile."""
    shared = run.shared
    for key, (rows, value) in worked.refolded.items():
        if key in shared.stale and rows == shared.of(key):
            shared.stale.discard(key)
            shared.ahead.pop(key, None)
            _set(run, key, value)


def note_committed(run: RunState) -> None:
    """Note that what reducers of the user's have made is in the store."""
    shared = run.shared
    values = {key: shared.broken.get(key, shared.values.get(key)) for key in {row.key for row in shared.updates}}
    own = {key: value for key, value in values.items() if key in run.program.reducers}
    shared.stored = Folded(len(shared.updates), own, frozenset(shared.stale))


def take_back(run: RunState, node: Node) -> bool:
    """Let nothing count that a failed attempt of a container wrote: the next attempt begins.

    Returns:
        Whether it may begin: else reducers of the user's have to fold anew what is left.
    """
    shared = run.shared
    inside = tuple(f"{node.address}{sign}" for sign in INSIDE)
    keys = {row.key for row in shared.updates if row.address.startswith(inside)}
    if not keys:
        return not shared.stale
    left = [row for row in shared.updates if not row.address.startswith(inside)]
    shared.updates = [row for row in left if row.key not in keys]
    own = keys.intersection(run.program.reducers, {row.key for row in left})
    for key in keys - own:
        shared.values.pop(key, None)
        shared.broken.pop(key, None)
    shared.stale.difference_update(keys)
    shared.stale.update(own)
    for key in keys:
        shared.ahead.pop(key, None)
    refold(run, [row for row in left if row.key in keys], None)
    change = run.changes()
    change.shared = [row for row in change.shared if not row.address.startswith(inside)]
    change.drop_shared = added(change.drop_shared, node.address)
    return not shared.stale


def reduced(reducer: str, old: Any, new: Any) -> Any:
    """Apply a reducer of ours to an old and a new value."""
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
    return new
