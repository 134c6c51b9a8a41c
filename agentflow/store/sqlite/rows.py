"""Rows of the database as rows of the contract."""

from __future__ import annotations

from collections.abc import Callable, Collection
from operator import itemgetter
from typing import Any, cast
from zlib import crc32

import apsw

from agentflow.data import encode, is_array, is_object, is_readable, salvaged
from agentflow.errors import StoreError
from agentflow.store.common import UNREADABLE, ended, parents_first
from agentflow.store.loaded import LoadedRun, LoadedTree
from agentflow.store.rows import ArtifactRow, Event, RunRow, SharedRow, StepRow, TaskRow
from agentflow.store.slot_rows import SlotView
from agentflow.store.sqlite.sql import number, one, rows
from agentflow.store.sqlite.statements import LAST_AT, LAST_SEQ, OPEN_STATES
from agentflow.store.sqlite.used import of_tree
from agentflow.store.views import Inbox, MessageView, TaskView

RUN = f"""
SELECT h.key, r.id, h.root, t.id, h.parent, p.id, r.parent_step, h.workflow, r.definition, r.entry_point, r.input,
  h.state, h.reason, h.error, h.output, h.output_step, h.message,
  CASE WHEN r.messaged THEN
    (SELECT m.data FROM messages m WHERE m.run = h.key AND m.task IS NULL ORDER BY m.pos LIMIT 1)
  END, h.memo, h.now_text, h.owner,
  h.context_id, r.door, r.labels, r.pins, h.idempotency_key, r.fingerprint, r.retry_of, h.paused, h.last_response,
  th.holder, th.epoch, {LAST_SEQ}, h.generation, h.created_at, {LAST_AT}, h.ended_at, c.data,
  h.tolerated, h.tenant, h.agent, h.changed_at, h.retention, r.usage
FROM heads h JOIN runs r ON r.key = h.key
JOIN heads th ON th.key = h.root JOIN runs t ON t.key = h.root
LEFT JOIN runs p ON p.key = h.parent LEFT JOIN context c ON c.run = h.key
"""  # noqa: S608  constants
_STEP = """
SELECT key >> 32, key & 0xFFFFFFFF, address, state, reason, phase, attempt, tries, entry, crashes, task, started_at,
  ended_at, error, nullif(memo, x''), result, ended_order, hash, born
FROM steps
"""
_row = cast("Callable[[Any, Any], StepRow]", tuple.__new__)
"""Makes a row, as `StepRow(…)` does with a function around it: a run may have very many."""
TASK = """
SELECT k.id, k.run, k.n, k.step, k.kind, k.state, k.message, k.schema, k.details, k.expires_at, k.created_at,
  k.updated_at, k.assignees, r.id, t.id, h.workflow, h.owner, k.answer, k.by, k.door, k.message_id, k.answered_at,
  k.generation, h.root, h.tenant, h.context_id, h.agent
FROM tasks k JOIN heads h ON h.key = k.run JOIN runs r ON r.key = k.run JOIN runs t ON t.key = h.root
"""
EVENT = """
SELECT e.pos, e.run, r.id, e.seq, coalesce(e.task, r.id), e.generation, e.type, e.step, e.data, e.at
FROM events e JOIN runs r ON r.key = e.run
"""
_NUMBER = 0xFFFFFFFF
Lost = set[tuple[int, int]]
"""Takes the steps (run, number) whose stored result is damaged."""


def listed(values: Collection[Any]) -> str:
    """Return values as a parameter for `json_each(?)`."""
    return encode(list(values)).decode()


def run_rows(db: apsw.Connection, where: str, args: tuple[Any, ...]) -> list[RunRow]:
    """Return runs."""
    return [_run(values) for values in rows(db, f"{RUN} {where}", args)]


def _run(values: tuple[Any, ...]) -> RunRow:
    fields = list(values)
    fields[23] = salvaged(fields[23] or b"", {})
    fields[24] = salvaged(fields[24] or b"", {})
    fields[28] = bool(fields[28])
    return RunRow._make(fields)


def step_rows(db: apsw.Connection, run: int, lost: Lost | None = None) -> list[StepRow]:
    """Return the steps of a run in order of their first insertion; `lost` takes those whose result is damaged.

    Raises:
        StoreError: a result is damaged, and there is no `lost`.
    """
    low = run << 32
    found = rows(db, f"{_STEP} WHERE key BETWEEN ? AND ?", (low, low | _NUMBER))
    found.sort(key=itemgetter(18))
    if lost is None:
        for values in found:  # in one loop, as a run may have very many
            result = values[15]
            if result is not None and not is_sound(result, values[1], values[17]):
                raise _damaged(db, run, values[2])
        return [_row(StepRow, values[:17]) for values in found]
    return [_step(db, values, lost) for values in found]


def step_at(db: apsw.Connection, run: int, address: str) -> StepRow | None:
    """Return the step at an address, looking at the newest first: who asks has mostly just heard of it."""
    low = run << 32
    newest = f"{_STEP} WHERE key BETWEEN ? AND ? AND address = ? ORDER BY key DESC LIMIT 1"
    values = one(db, newest, (low, low | _NUMBER, address))
    return _step(db, values) if values else None


def step_result(db: apsw.Connection, run: int, n: int) -> bytes | None:
    """Return the result of a step."""
    values = one(db, f"{_STEP} WHERE key = ?", (run << 32 | n,))
    return _step(db, values).result if values else None


def is_sound(result: Any, n: int, hash_: int) -> bool:
    """Return whether a stored result is the one that was written; a hand that changes it may make it a text."""
    return isinstance(result, bytes) and crc32(result, n) == hash_


def _step(db: apsw.Connection, values: tuple[Any, ...], lost: Lost | None = None) -> StepRow:
    run, n, result = values[0], values[1], values[15]
    if result is not None and not is_sound(result, n, values[17]):
        if lost is None:
            raise _damaged(db, run, values[2])
        lost.add((run, n))
        result = None
    elif result is not None and lost is not None and not is_readable(result):  # an older version has kept it
        lost.add((run, n))
        result = None
    return StepRow._make((*values[:15], result, values[16]))


def _damaged(db: apsw.Connection, run: int, step: str) -> StoreError:
    """Return the error of a stored result that isn't what was written."""
    found = one(db, "SELECT id FROM runs WHERE key = ?", (run,))
    name = found[0] if found else run
    return StoreError(
        f"The stored result of step {step!r} of run {name} is damaged.",
        code="AF-STORE-DAMAGED",
        hint=f"Restore a backup: agentflow store restore FILE\nor {leaving(db, run)}",
        data={"run": name, "step": step},
    )


def leaving(db: apsw.Connection, run: int) -> str:
    """Return what leaves a damaged result of a run behind: the step runs again, with all that follows from it."""
    sql = "SELECT r.id, t.state FROM heads h JOIN heads t ON t.key = h.root JOIN runs r ON r.key = h.root"
    root, state = one(db, f"{sql} WHERE h.key = ?", (run,)) or (run, "")
    cancel = "" if ended(state) else f"agentflow runs cancel {root}, then "
    return f"run the step again: {cancel}agentflow runs retry {root}"


def task_view(values: tuple[Any, ...]) -> TaskView:
    """Return a task as doors see it."""
    answer = None if values[17] is None else salvaged(values[17], UNREADABLE)
    task = TaskRow._make((*values[:12], _names(values[12])))
    return TaskView._make((task, *values[13:17], answer, *values[18:]))


def _names(raw: str | None) -> tuple[str, ...]:
    found: Any = salvaged(raw, ()) if raw else ()
    return tuple(found) if is_array(found) else ()


def message_view(values: tuple[Any, ...]) -> MessageView:
    """Return a message of (id, role, generation, at, data, answer); without data it is made of the task's answer."""
    if values[4] is not None:
        return MessageView._make((*values[:4], salvaged(values[4], UNREADABLE)))
    answer = UNREADABLE if values[5] is None else salvaged(values[5], UNREADABLE)
    parts: list[dict[str, Any]] = [{"data": answer.get("value", answer) if is_object(answer) else answer}]
    made = {"messageId": values[0], "role": values[1], "parts": parts}
    return MessageView._make((*values[:4], {name: value for name, value in made.items() if value is not None}))


def chunk_row(values: tuple[Any, ...]) -> ArtifactRow:
    """Return a chunk of an artifact."""
    run, name, append, data, at, last, step, anew, task = values
    return ArtifactRow(run, name, bool(append), data, at, bool(last), step, bool(anew), task)


def task_place(db: apsw.Connection, task_id: str) -> tuple[int, str | None]:
    """Return the key of a task's run, 0 for an unknown one, and its id where it isn't the run's own task."""
    key = number(db, "SELECT key FROM runs WHERE ending = ?", (task_id[::-1],))
    return (key, None) if key else (number(db, "SELECT run FROM tasks WHERE ending = ?", (task_id[::-1],)), task_id)


def event(values: tuple[Any, ...]) -> Event:
    """Return an event."""
    data = values[8]
    return Event._make((*values[:8], None if data is None else salvaged(data, UNREADABLE), values[9]))


def inbox_row(values: tuple[Any, ...]) -> tuple[int, Inbox]:
    """Return (root, command) of (root, id, run, kind, n, task, data)."""
    root, number, run, kind, n, task, data = values
    return root, Inbox(number, run, kind, n, task, salvaged(data, UNREADABLE))


def tree_keys(db: apsw.Connection, run: int) -> list[int]:
    """Return a run's key and those of its descendants."""
    found = rows(
        db,
        "WITH RECURSIVE tree (key) AS (SELECT ? UNION ALL SELECT h.key FROM tree JOIN heads h ON h.parent = tree.key)"
        " SELECT key FROM tree",
        (run,),
    )
    return [values[0] for values in found]


def load_tree(db: apsw.Connection, root: int, lost: Lost | None = None) -> LoadedTree | None:
    """Return all that a holder needs, inside the caller's transaction; `lost` as for `step_rows`."""
    top = run_rows(db, "WHERE h.key = ?", (root,))
    if not top:
        return None
    below = run_rows(
        db, f"WHERE h.root = ? AND h.parent IS NOT NULL AND h.key <> h.root AND h.state IN {OPEN_STATES}", (root,)
    )
    members = {row.run: row for row in (*top, *below)}
    order = parents_first({run: row.parent for run, row in members.items()})
    commands = rows(db, "SELECT root, id, run, kind, n, task, data FROM inbox WHERE root = ? ORDER BY id", (root,))
    return LoadedTree(
        root,
        top[0].epoch,
        [_loaded(db, members[run], lost) for run in order],
        [inbox_row(values)[1] for values in commands],
        usage=of_tree(db, root),
    )


def _loaded(db: apsw.Connection, row: RunRow, lost: Lost | None) -> LoadedRun:
    shared = rows(db, "SELECT run, key, address, value FROM shared WHERE run = ? ORDER BY pos", (row.run,))
    slots = rows(db, "SELECT n, key, place = 0 FROM slots WHERE run = ?", (row.run,))
    return LoadedRun(
        row,
        step_rows(db, row.run, lost),
        [SharedRow._make(values) for values in shared],
        [SlotView(n, key, bool(held)) for n, key, held in slots],
    )
