"""What an agent's task comes to, and what it asks: read from tasks of many shapes."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow_a2a.client.seen import is_retryable, questions, result

TEXT: dict[str, Any] = {"artifactId": "a", "parts": [{"text": "one, "}, {"text": "two"}]}
DATA: dict[str, Any] = {"artifactId": "b", "name": "totals", "parts": [{"data": {"n": 1}}]}
FILE: dict[str, Any] = {
    "artifactId": "c",
    "parts": [{"url": "https://example.com/x.pdf", "mediaType": "application/pdf"}],
}


def task(*artifacts: Any, state: str = "TASK_STATE_COMPLETED", parts: Any = (), **fields: Any) -> dict[str, Any]:
    """Return a task."""
    message = {"messageId": "m", "role": "ROLE_AGENT", "parts": list(parts)}
    status: dict[str, Any] = {"state": state, **({"message": message} if parts else {})}
    return {"id": "t", "artifacts": list(artifacts), "status": status, **fields}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (task(TEXT), "one, two"),
        (task(DATA), {"n": 1}),
        (task(FILE), FILE["parts"][0]),
        (task(TEXT, DATA), {"a": "one, two", "totals": {"n": 1}}),
        (task(DATA, {**DATA, "artifactId": "d"}), {"b": {"n": 1}, "d": {"n": 1}}),
        (task(TEXT, {"artifactId": "@output", "parts": [{"data": 7}]}), 7),
        (task({"artifactId": "e", "parts": [{"data": 1}, {"data": 2}]}), [1, 2]),
        (task(parts=[{"text": "done"}]), "done"),
        (task(history=[{"role": "ROLE_AGENT", "parts": [{"text": "hi"}]}, {"role": "ROLE_USER"}]), "hi"),
        (task(), ""),
    ],
)
def test_a_result_is_the_output_else_the_artifacts_else_what_was_said_last(given: Any, expected: Any) -> None:
    assert result(given) == expected


def test_a_question_has_the_agents_schema_unless_nothing_can_be_checked_by_it() -> None:
    asks = "TASK_STATE_INPUT_REQUIRED"
    good, bad = {"type": "integer"}, {"type": "nothing like it"}
    (found,) = questions("desk", task(state=asks, parts=[{"text": "How many?"}, {"data": {"schema": good}}]))
    assert (found.task, found.wait.kind, found.wait.message, found.wait.schema) == ("t", "input", "How many?", good)
    (found,) = questions("desk", task(state=asks, parts=[{"data": {"schema": bad}}]))
    assert (found.wait.message, found.wait.schema) == ('agent "desk" waits for an answer', None)
    (found,) = questions("desk", task(state="TASK_STATE_AUTH_REQUIRED"))
    assert (found.wait.kind, found.wait.message) == ("auth", 'agent "desk" waits for authorisation')


def test_waits_that_are_listed_are_the_questions_and_events_are_none() -> None:
    waits = [{"taskId": name, "kind": kind, "message": name} for name, kind in (("w1", "tool"), ("w2", "event"))]
    parts = [{"text": "2 answers"}, *({"data": {"wait": wait}} for wait in waits)]
    found = questions("desk", task(state="TASK_STATE_INPUT_REQUIRED", parts=parts))
    assert [(each.task, each.wait.kind, each.named) for each in found] == [("w1", "tool", True)]


def test_a_failure_is_worth_another_try_unless_the_agent_says_that_it_is_not() -> None:
    assert is_retryable(task(state="TASK_STATE_FAILED", parts=[{"text": "no"}]))
    assert not is_retryable(task(state="TASK_STATE_FAILED", parts=[{"data": {"error": {"retryable": False}}}]))
