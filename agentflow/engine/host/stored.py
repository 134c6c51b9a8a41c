"""The stored row of a run that is in memory, without reading it: as the last commit of its holder left it."""

from __future__ import annotations

from typing import Any

from agentflow.engine.plan import shared
from agentflow.engine.plan.state import RunState
from agentflow.store.acknowledgement import Stamp
from agentflow.store.rows import NewRun, RunChange, RunRow

_PLACES = {name: place for place, name in enumerate(RunRow._fields)}
_HOLDER, _SEQ, _GENERATION, _UPDATED_AT = (_PLACES[name] for name in ("holder", *Stamp._fields))
_OUTPUT, _OUTPUT_STEP = _PLACES["output"], _PLACES["output_step"]


def note_committed(run: RunState, change: RunChange) -> None:
    """Note what a commit has changed in a run."""
    run.stamp = change.stamp
    if (change.shared or change.drop_shared) and run.program.reducers:
        shared.note_committed(run)
    if change.used is not None:
        run.patched = {**run.patched, "usage": change.used.total}
    patch = change.patch
    if patch is None:
        return
    fields: dict[str, Any] = {
        name: value for name, value in zip(patch._fields, patch, strict=True) if value is not None
    }
    del fields["at"]
    if patch.state is not None:
        fields["reason"] = patch.reason
        before = run.patched.get("state", run.row.state)
        if not before == patch.state == "working":  # told again that it waits, it waits for something else
            fields["changed_at"] = patch.at
    if patch.memo == b"":
        fields["memo"] = None
    run.patched = {**run.patched, **fields} if run.patched else fields


def stored_row(run: RunState, holder: str | None) -> RunRow | None:
    """Return a run's row; None when this process hasn't committed anything of it yet.

    Args:
        run: a run of a held tree, or of one that was let go just now.
        holder: who holds its tree.
    """
    stamp = run.stamp
    if stamp is None:
        return None
    base = run.row
    if not isinstance(base, RunRow):
        base = run.row = _first(run, base)
    values: list[Any] = [*base]  # to replace fields by their names looks at all of them
    for name, value in run.patched.items():
        values[_PLACES[name]] = value
    values[_HOLDER], values[_SEQ], values[_GENERATION], values[_UPDATED_AT] = holder, *stamp
    if values[_OUTPUT] is None and values[_OUTPUT_STEP] is not None:
        values[_OUTPUT] = _result(run, values[_OUTPUT_STEP])
    return RunRow._make(values)


def _first(run: RunState, new: NewRun) -> RunRow:
    """Return the row of a run as it was created."""
    parent, root = run.parent_run, run.tree.root
    return RunRow(
        run=run.key, id=new.id, root=root.key, root_id=root.id, parent=new.parent,
        parent_id=parent.id if parent is not None else None, parent_step=new.parent_step, workflow=new.workflow,
        definition=new.definition, entry_point=new.entry_point, input=new.input, state=new.state, reason=None,
        error=None, output=None, output_step=None, message=None, start_message=new.message, memo=None, now_text=None,
        owner=new.owner, context_id=new.context_id or root.row.context_id or root.id, door=new.door,
        labels=new.labels, pins=new.pins, idempotency_key=new.idempotency_key, fingerprint=new.fingerprint,
        retry_of=new.retry_of, paused=False, last_response=None, holder=None, epoch=run.tree.epoch, seq=0,
        generation=0, created_at=new.created_at, updated_at=new.created_at, ended_at=None,
        tenant=new.tenant, agent=new.agent, changed_at=new.created_at, retention=new.retention,
    )  # fmt: skip


def _result(run: RunState, n: int) -> bytes | None:
    """Return the result of a top-level step, which is the run's output."""
    body = (run.root.scopes or {}).get("steps")
    node = body.at(n) if body is not None else None
    return node.result if node is not None else None
