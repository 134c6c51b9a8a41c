"""What the events of a step's log say to people."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.cli.event_texts import event_line
from agentflow.store.rows import Event

ERROR = {"code": "AF-HTTP-STATUS", "message": "HTTP 503 from GET https://example.com", "data": {"status": 503}}


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        ("step_started", {"attempt": 1}, "started"),
        ("step_started", {"attempt": 2}, "started: attempt 2"),
        ("step_started", {"attempt": 1, "items": 4, "steps": 1}, "started: 4 items"),
        ("step_failed", {"error": ERROR, "will_retry": True}, "failed: HTTP 503"),
        ("step_failed", {"error": ERROR, "tolerated": True}, "failed: HTTP 503 (tolerated)"),
        ("step_retrying", {"attempt": 2, "delay": 0.5}, "is tried again (attempt 2 in 500ms)"),
        ("step_waiting", {"kind": "input", "message": "Pay?", "schema": {"type": "object"}}, "asks: Pay?"),
        ("step_resumed", {"by": "local", "door": "cli"}, "was answered: by you"),
        ("step_log", {"text": "read a.json", "level": "warning"}, "read a.json"),
        ("step_progress", {"fraction": 0.5, "message": "half of it"}, "progress: 50% half of it"),
        ("step_canceled", {"reason": "run_canceled"}, "stopped: canceled with the run"),
        ("step_usage", {"tokens": 3}, 'step_usage: {"tokens": 3}'),
        ("step_completed", None, "completed"),
        ("step_completed", {"attempt": 3}, "completed: attempt 3"),
    ],
)
def test_an_event_is_told_in_words(kind: str, data: dict[str, Any] | None, line: str) -> None:
    assert event_line(Event(1, 1, "r", 1, "t", None, kind, "step", data, 0.0)) == line
