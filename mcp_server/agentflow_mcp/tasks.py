"""Runs as tasks of the extension `io.modelcontextprotocol/tasks`: the ids of runs name tasks, those of waits requests.

A wait that no form can ask for is none of the task's requests; the task's message tells how it is answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentflow.engine import Run, WaitView
from agentflow_mcp.asking import form
from agentflow_mcp.documents import ANSWERED, STATUSES, ending, finished, iso
from agentflow_mcp.results import Request, Result

GRACE: Final = 0.5
"""Seconds that a call waits for its run before it becomes a task."""
YOUNG: Final = 10.0
"""Seconds for which a task is asked after often."""


@dataclass(frozen=True, slots=True)
class Task:
    """A run as a task."""

    data: Mapping[str, Any]
    """Its fields as they are sent, without requests and result."""
    requests: Mapping[str, Request]
    """Open ones, by id."""
    result: Result | None = None
    """What its call would have given, once it is completed."""


def task_of(run: Run, waits: Sequence[WaitView], now: float, *, forms: bool) -> Task:
    """Return a run as a task.

    Args:
        run: the run.
        waits: what it waits for.
        now: the time.
        forms: whether the client shows forms.
    """
    asked = requests_of(waits) if forms else {}
    status, message = STATUSES[run.state], run.now_text
    if run.ended:
        message = None if run.state == "completed" else ending(run).message
        status = "cancelled" if run.state == "canceled" else "completed"  # an error of the tool's is a result too
    elif asked:
        status = "input_required"
    elif status == "input_required":
        status = "working"
    others = [view for view in waits if view.id not in asked and view.kind in ANSWERED]
    if others and not run.ended:
        view = others[0]
        message = f'waits for an answer: "{view.message}" (resume_workflow with task_id {view.id})'
    young = now - run.created_at < YOUNG
    data: dict[str, Any] = {
        "taskId": run.id,
        "status": status,
        "createdAt": iso(run.created_at),
        "lastUpdatedAt": iso(run.updated_at),
        "ttlMs": None,
        "pollIntervalMs": 500 if young else 5000 if asked or run.waiting else 2000,
    }
    if message:
        data["statusMessage"] = message
    result = finished(run) if run.ended and status == "completed" else None
    return Task(data, asked, result)


def requests_of(waits: Sequence[WaitView]) -> dict[str, Request]:
    """Return what can be asked for by a form, by the waits' ids."""
    shapes = {view.id: form(view.schema) for view in waits if view.kind in ANSWERED}
    messages = {view.id: view.message for view in waits}
    return {name: Request(messages[name], shape) for name, shape in shapes.items() if shape is not None}
