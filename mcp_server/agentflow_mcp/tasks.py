"""Runs as tasks of the extension `io.modelcontextprotocol/tasks`: the ids of runs name tasks, keys of waits requests.

A wait that no form can ask for is none of the task's requests; the task's message tells how it is answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentflow.engine import Run, WaitView
from agentflow.store.rows import State
from agentflow_mcp.asking import Request
from agentflow_mcp.documents import STATUSES, ending, finished, is_asked, is_human_only, iso
from agentflow_mcp.questions import Question
from agentflow_mcp.results import Result, as_json

GRACE: Final = 0.5
"""Seconds that a call waits for its run before it becomes a task."""
YOUNG: Final = 10.0
"""Seconds after a change for which a task is asked after often."""
PATIENT: Final = 600.0
"""Seconds after a change from which on it is asked after rarely."""
REJECTED: Final = -32600
"""JSON-RPC's code of a task whose run has turned the request down."""
_ENDS: Final[Mapping[State, str]] = {"canceled": "cancelled", "rejected": "failed"}


@dataclass(frozen=True, slots=True)
class Task:
    """A run as a task."""

    data: Mapping[str, Any]
    """Its fields as they are sent, without requests and result."""
    requests: Mapping[str, Request]
    """What its client's user is asked, by key."""
    result: Result | None = None
    """What its call would have given, once it is completed."""


def task_of(run: Run, waits: Sequence[WaitView], asked: Mapping[str, Question], now: float) -> Task:
    """Return a run as a task.

    Args:
        run: the run.
        waits: what it waits for.
        asked: what of that the client's user can be asked.
        now: the time.
    """
    pending = {key: each for key, each in asked.items() if each.is_pending}
    status, message = STATUSES[run.state], run.now_text
    if run.ended:
        message = None if run.state == "completed" else ending(run).message
        status = _ENDS.get(run.state, "completed")  # an error of the tool's is a result too
    elif pending:
        status = "input_required"
    elif status == "input_required":
        status = "working"
    others = [view for view in waits if is_asked(view) and all(view.id != e.view.id for e in pending.values())]
    if others and not run.ended:
        message = _elsewhere(others[0], asked)
    data: dict[str, Any] = {
        "taskId": run.id,
        "status": status,
        "createdAt": iso(run.created_at),
        "lastUpdatedAt": iso(run.updated_at),
        "ttlMs": _kept(run),
        "pollIntervalMs": _interval(run, now),
    }
    if message:
        data["statusMessage"] = message
    if status == "failed":
        data["error"] = {"code": REJECTED, "message": ending(run).message}
    result = finished(run) if run.ended and status == "completed" else None
    return Task(data, {key: each.request for key, each in pending.items()}, result)


def _elsewhere(view: WaitView, asked: Mapping[str, Question]) -> str:
    """Say how a wait is answered that is none of the task's requests."""
    if not is_human_only(view):
        return f"waits for an answer: {as_json(view.message)} (resume_workflow with task_id {view.id})"
    page = next((each.request.url for each in asked.values() if each.view.id == view.id), view.url)
    return f"waits for a person's answer: {as_json(view.message)}" + (f" ({page})" if page else "")


def _kept(run: Run) -> int | None:
    """Return for how many milliseconds from its beginning on a run is kept; None: nobody knows yet, or for ever."""
    if run.retention is None or run.ended_at is None:
        return None
    return int((run.ended_at - run.created_at + run.retention) * 1000)


def _interval(run: Run, now: float) -> int:
    """Return after how many milliseconds it is worth looking again: rarely at what is old, or waits for people."""
    age = now - run.updated_at
    if age < YOUNG:
        return 500
    if run.waiting:
        return 5_000 if age < PATIENT else 30_000
    return 2_000 if age < PATIENT else 5_000
