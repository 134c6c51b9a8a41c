"""What every store decides in the same way. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, Literal

from agentflow.data import canonical, decode, digest, encode, is_array, is_object
from agentflow.ids import SHORTEST
from agentflow.store.rows import (
    TERMINAL,
    AnswerRow,
    ArtifactRow,
    EventRow,
    RunChange,
    State,
    StepRow,
    SubscriptionRow,
    TaskRow,
)

OPEN: frozenset[str] = frozenset({"submitted", "working", "input-required", "auth-required"})
ASKING: frozenset[str] = frozenset({"input-required", "auth-required"})
"""States in which somebody has to answer."""
INSIDE = "/[#"
"""How what follows a container's address begins in the addresses of the steps inside it."""
EVENT_DOOR = "event"
"""Who answered, and through which door, where a published event did."""


UNREADABLE: Final = MappingProxyType({"unreadable": True})
"""Stands for stored data that can't be decoded: what an older version kept, or a hand has changed."""


def closing_state(answer: Mapping[str, Any]) -> State:
    """Return the state that an answer gives its wait's task."""
    if "value" in answer:
        return "completed"
    return "rejected" if "decline" in answer else "failed"


def event_answer(task: str, run: int, n: int, step: str, data: Any, at: float) -> AnswerRow:
    """Return the answer that a published event is to a wait."""
    return AnswerRow(task, run, n, step, {"value": data}, EVENT_DOOR, EVENT_DOOR, None, at)


def wait_kind(row: SubscriptionRow) -> str:
    """Return a name that all waits of a tree have in common that want the same events."""
    return digest(encode([row.owner, row.topic, row.filter, row.since, *([True] if row.shared else ())]))


def passed(row: AnswerRow) -> dict[str, Any]:
    """Return what a holder is told of an answer."""
    return {"answer": row.answer, "by": row.by, "door": row.door}


def same_answer(stored: bytes, given: Mapping[str, Any], stored_message: str | None, message: str | None) -> bool:
    """Tell whether an answer is the one that was given before."""
    if message is not None and message == stored_message:
        return True
    return canonical(decode(stored)) == canonical(decode(encode(given)))


def judge_ended(
    stored: bytes | None, given: Mapping[str, Any], stored_message: str | None, message: str | None
) -> Literal["same", "conflict", "closed"]:
    """Return what becomes of an answer to a wait that has ended."""
    if stored is None:
        return "closed"
    return "same" if same_answer(stored, given, stored_message, message) else "conflict"


def join_artifacts(chunks: Iterable[ArtifactRow]) -> list[Any]:
    """Join the chunks of a task's artifacts, in order of first appearance."""
    found: dict[str, list[ArtifactRow]] = {}
    for chunk in chunks:
        before = found.setdefault(chunk.artifact_id, [])
        if not chunk.append:
            before.clear()
        elif chunk.anew:
            before[:] = [one for one in before if one.step != chunk.step]
        before.append(chunk)
    return [_joined(rows) for rows in found.values()]


def _joined(chunks: Sequence[ArtifactRow]) -> Any:
    """Return an artifact: what its chunks say of it, the last one's word counting, and the parts of all."""
    whole: Any = decode(chunks[0].data)
    parts: list[Any] = []
    for chunk in chunks:
        data: Any = decode(chunk.data)
        if not is_object(data):
            return data
        more = data.get("parts")
        parts += more if is_array(more) else ()
        whole = {**whole, **data, "parts": parts}
    return whole


def shortest_ending(text: str, neighbours: Collection[str]) -> str:
    """Return the shortest ending of an id that its neighbours, in the order of reversed ids, don't have too."""
    length = SHORTEST
    for other in neighbours:
        common = 0
        for a, b in zip(reversed(text), reversed(other), strict=False):
            if a != b:
                break
            common += 1
        length = max(length, common + 1)
    return text[-length:]


def parents_first(parents: Mapping[int, int | None]) -> list[int]:
    """Order the runs of a tree (run → parent): every one after its parent, else by key."""
    children: dict[int | None, list[int]] = {}
    for run in sorted(parents):
        parent = parents[run]
        children.setdefault(parent if parent in parents else None, []).append(run)
    ordered: list[int] = []
    level = children.get(None, [])
    while level:
        ordered.extend(level)
        level = [child for run in level for child in children.get(run, ())]
    return ordered


def report(changes: Sequence[RunChange], copies: Sequence[RunChange]) -> None:
    """Say of changes what a commit has told of their copies."""
    for change, copy in zip(changes, copies, strict=True):
        change.stamp, change.stays, change.late = copy.stamp, copy.stays, copy.late
        change.grants, change.deadlocked, change.queued = copy.grants, copy.deadlocked, copy.queued


def frozen(changes: Sequence[RunChange]) -> list[RunChange]:
    """Copy changes that have to wait, so that callers may go on changing theirs."""
    return [
        replace(
            change,
            create=change.create and replace(change.create),
            steps=[*change.steps],
            events=[*change.events],
            timers=[*change.timers],
            drop_timers=[*change.drop_timers],
            tasks=[*change.tasks],
            close_tasks=[*change.close_tasks],
            shared=[*change.shared],
            drop_shared=[*change.drop_shared],
            subscriptions=[*change.subscriptions],
            artifacts=[*change.artifacts],
            messages=[*change.messages],
            inbox_done=[*change.inbox_done],
            free=[*change.free],
            slots=[*change.slots],
            unclaimed=[*change.unclaimed],
            answers=[*change.answers],
            used=change.used and change.used._replace(rows=[*change.used.rows]),
        )
        for change in changes
    ]


def kept(change: RunChange) -> tuple[Sequence[StepRow], Sequence[EventRow], Sequence[TaskRow]]:
    """Return the steps, events and tasks that a change is to store: without claims that have to queue."""
    queued = {row.n: row for row in change.queued}
    waiting = {row.address for row in change.queued}
    unopened = {event.task for event in change.events if event.type == "task_opened" and event.step in waiting}
    events = [
        event
        for event in change.events
        if event.step not in waiting or (event.type != "step_started" and event.task not in unopened)
    ]
    tasks = [task for task in change.tasks if task.id not in unopened]
    return [queued.get(row.n, row) for row in change.steps], events, tasks


def ended(state: str) -> bool:
    """Tell whether a task or run in this state is over."""
    return state in TERMINAL
