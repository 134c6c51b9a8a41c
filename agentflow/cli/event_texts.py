"""What the events of a run's log say, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentflow.cli.failures import cause
from agentflow.cli.format import duration, one_line, plural
from agentflow.cli.rows import reason_text
from agentflow.cli.wait_texts import who
from agentflow.data import is_object
from agentflow.errors import Failure
from agentflow.store.rows import Event

_VERBS = {
    "step_started": "started",
    "step_completed": "completed",
    "step_failed": "failed",
    "step_retrying": "is tried again",
    "step_waiting": "asks",
    "step_resumed": "was answered",
    "step_skipped": "didn't run",
    "step_canceled": "stopped",
    "step_kept": "kept",
    "step_progress": "progress",
}
LIMIT = 160
"""Characters of a line."""


def event_line(event: Event) -> str:
    """Say what an event of a step tells: `started`, `failed: HTTP 503`, or a line of its log as it is."""
    told = event_told(event)
    if event.type == "step_log":
        return told
    verb = _VERBS.get(event.type, event.type)
    return f"{verb}: {told}" if told and event.type != "step_retrying" else f"{verb} {told}".rstrip()


def event_told(event: Event) -> str:
    """Say what an event tells besides its type; empty where that is all."""
    data: Mapping[str, Any] = event.data if is_object(event.data) else {}
    if event.type == "step_log":
        return one_line(str(data.get("text", "")), LIMIT)
    if event.type in ("step_started", "step_completed"):
        return _started(data)
    if event.type in ("step_failed", "run_failed", "run_rejected", "hook_failed"):
        return _failed(data)
    if event.type == "step_retrying":
        delay = data.get("delay")
        soon = f" in {duration(delay)}" if isinstance(delay, int | float) else ""
        return f"(attempt {data.get('attempt')}{soon})"
    if event.type == "step_waiting":
        return one_line(str(data.get("message") or data.get("kind") or "for an answer"), LIMIT)
    if event.type == "step_resumed":
        return f"by {who(data.get('by'), data.get('door'))}"
    if event.type in ("step_skipped", "step_canceled"):
        reason = data.get("reason")
        return reason_text(str(reason)) if reason else ""
    if event.type == "step_progress":
        return _progress(data)
    return one_line(event.data, LIMIT) if event.data else ""


def _started(data: Mapping[str, Any]) -> str:
    attempt, items = data.get("attempt"), data.get("items")
    parts = [f"attempt {attempt}"] if isinstance(attempt, int) and attempt > 1 else []
    parts += [plural(items, "item")] if isinstance(items, int) else []
    return ", ".join(parts)


def _failed(data: Mapping[str, Any]) -> str:
    error = data.get("error")
    known = is_object(error) and isinstance(error.get("code"), str) and isinstance(error.get("message"), str)
    told = cause(Failure.from_data(error), LIMIT) if is_object(error) and known else one_line(dict(data), LIMIT)
    hook = f"a step of {data['hook']}: " if data.get("hook") else ""
    return hook + told + (" (tolerated)" if data.get("tolerated") else "")


def _progress(data: Mapping[str, Any]) -> str:
    fraction, message = data.get("fraction"), data.get("message")
    parts = [f"{fraction:.0%}"] if isinstance(fraction, int | float) else []
    parts += [one_line(str(message), LIMIT)] if message else []
    return " ".join(parts)
