"""The JSON documents of `--json` and `--jsonl`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from agentflow.cli.format import iso
from agentflow.data import decode
from agentflow.engine.models import Run, WaitView
from agentflow.store.rows import (
    Event,
)

if TYPE_CHECKING:
    from agentflow.engine.read.inspect import StepView


def outcome(run: Run, waits: Iterable[WaitView]) -> dict[str, Any]:
    """Return the document of `run` and `watch`: how it ended, or what it waits for."""
    return {
        "run_id": run.id,
        "state": run.state,
        "waits": [wait_data(view) for view in waits],
        "output": run.output,
        "error": run.failure.to_data() if run.failure else None,
        "tolerated": run.tolerated,
    }


def run_data(run: Run) -> dict[str, Any]:
    """Return a run."""
    return {
        "id": run.id,
        "workflow": run.workflow,
        "state": run.state,
        "reason": run.reason,
        "paused": run.paused,
        "now": run.now_text,
        "message": run.message,
        "entry_point": run.entry_point,
        "input": run.input,
        "output": run.output,
        "error": run.failure.to_data() if run.failure else None,
        "tolerated": run.tolerated,
        "owner": run.owner,
        "agent": run.agent,
        "door": run.door,
        "context_id": run.context_id,
        "labels": dict(run.labels),
        "parent_id": run.parent_id,
        "retry_of": run.retry_of,
        "definition": run.definition,
        "created_at": iso(run.created_at),
        "updated_at": iso(run.updated_at),
        "ended_at": iso(run.ended_at),
        "usage": run.usage.data,
    }


def hosted_data(runs: Iterable[Run], hosted: Mapping[str, bool | None]) -> list[dict[str, Any]]:
    """Return runs with whether a live process executes them."""
    return [{**run_data(run), "hosted": hosted.get(run.id)} for run in runs]


def wait_data(view: WaitView) -> dict[str, Any]:
    """Return a wait."""
    data: dict[str, Any] = {
        "id": view.id,
        "kind": view.kind,
        "step": view.step,
        "message": view.message,
        "schema": view.schema,
        "expires_at": iso(view.expires_at),
        "run_id": view.run_id,
        "root_id": view.root_id,
        "workflow": view.workflow,
        "state": view.state,
        "details": dict(view.details),
        "assignees": list(view.assignees),
        "created_at": iso(view.created_at),
        "answer": view.answer,
        "by": view.by,
        "door": view.door,
        "answered_at": iso(view.answered_at),
    }
    return {**data, "default": view.default} if view.has_default else data


def step_data(step: StepView) -> dict[str, Any]:
    """Return a step of a run."""
    return {
        "step": step.address,
        "label": step.label,
        "type": step.type,
        "state": step.state,
        "reason": step.reason,
        "phase": step.phase,
        "why": step.why,
        "attempts": step.attempts,
        "tries": step.tries,
        "items": step.items._asdict() if step.items else None,
        "started_at": iso(step.started_at),
        "ended_at": iso(step.ended_at),
        "due": iso(step.due),
        "result": decode(step.result) if step.result is not None else None,
        "damaged": step.damaged,
        "tolerated": step.tolerated,
        "usage": step.usage.data if step.usage else None,
        "error": step.error.to_data() if step.error else None,
        "answer": step.answer,
        "by": step.by,
        "door": step.door,
        "wait": step.wait,
        "child": step.child,
    }


def event_data(event: Event) -> dict[str, Any]:
    """Return an event."""
    return {
        "seq": event.seq,
        "pos": event.pos,
        "run_id": event.run_id,
        "task_id": event.task_id,
        "generation": event.generation,
        "type": event.type,
        "step": event.step,
        "data": event.data,
        "at": iso(event.at),
    }
