"""Rows of runs and tasks that begin, as the statements take them."""

from __future__ import annotations

from typing import Any

import apsw

from agentflow.data import encode
from agentflow.store.rows import NewRun, TaskRow
from agentflow.store.sqlite.sql import one
from agentflow.store.sqlite.statements import IDEMPOTENT, Place


def exists(db: apsw.Connection, new: NewRun) -> bool:
    """Tell whether there is a run of this id, or one that its owner has begun with the same key."""
    if one(db, "SELECT 1 FROM runs WHERE ending = ?", (new.id[::-1],)):
        return True
    key = new.idempotency_key
    who = (new.tenant, new.owner, new.agent, new.workflow, key)
    return key is not None and one(db, IDEMPOTENT, who) is not None


def head_row(key: int, root: int, new: NewRun, context_id: str, holder: str | None, heard: int) -> tuple[Any, ...]:
    """Return the values of `NEW_HEAD` but for how far its log goes; a root that is held is at its first epoch."""
    return (
        key, root, new.parent, new.created_at, 1 if holder else 0, holder, new.state, new.workflow, new.owner,
        context_id, new.idempotency_key, new.tenant, new.agent, new.retention, heard,
    )  # fmt: skip


def run_row(key: int, new: NewRun) -> tuple[Any, ...]:
    """Return the values of `NEW_RUN`."""
    labels = encode(new.labels).decode() if new.labels else None
    pins = encode(new.pins).decode() if new.pins else None
    return (
        key, new.id, new.id[::-1], new.parent_step, new.definition, new.entry_point, new.door, labels, pins,
        new.fingerprint, new.retry_of, new.message is not None, new.input,
    )  # fmt: skip


def task_row(run: int, row: TaskRow, place: Place) -> tuple[Any, ...]:
    """Return the values of `UPSERT_TASK`."""
    assignees = encode(list(row.assignees)).decode() if row.assignees else None
    return (
        row.id, row.id[::-1], run, row.n, row.step, row.kind, row.state, row.expires_at, row.created_at,
        row.updated_at, row.message, row.schema, row.details, assignees, *place,
    )  # fmt: skip
