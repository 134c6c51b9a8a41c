"""Triggers keep what was written, and know their defaults."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.definition.models import Workflow
from agentflow.definition.parse import Parsed, parse_workflow, to_data
from agentflow.definition.triggers import Webhook, typed
from agentflow.steps import registry


def parse(trigger: Any) -> Parsed:
    return parse_workflow({"id": "w", "steps": [], "entry_points": [{"id": "e", "triggers": [trigger]}]}, registry.find)


def sound(trigger: Any) -> Workflow:
    parsed = parse(trigger)
    assert parsed.problems == []
    assert parsed.workflow is not None
    return parsed.workflow


@pytest.mark.case("D-TR-1")
@pytest.mark.parametrize(
    "trigger",
    [
        {"type": "manual"},
        {"type": "slash", "name": "/grade", "aliases": ["/g"], "channels": ["telegram"], "args": [{"name": "doc"}]},
        {
            "type": "webhook",
            "path": "/in",
            "methods": ["POST", "PUT"],
            "auth": {"type": "hmac_header", "header": "X-Sign", "connection_id": "c"},
            "response": {"type": "sync", "timeout_secs": 10},
        },
        {"type": "tool", "name": "grade", "description": "Grades", "input_schema": {"type": "object"}},
        {"type": "event", "topic": "uploaded", "filter": {"kind": "pdf"}},
        {"type": "schedule", "cron": "0 9 * * 1", "timezone": "Europe/Berlin", "enabled": False, "input": {"a": 1}},
        {"type": "callback", "id": "open", "arg": "doc"},
        {"type": "message"},
    ],
)
def test_a_trigger_survives_the_round_trip(trigger: dict[str, Any]) -> None:
    workflow = sound(trigger)
    data = to_data(workflow)
    assert data["entry_points"][0]["triggers"] == [trigger]
    assert parse_workflow(data, registry.find).workflow == workflow
    assert typed(workflow.entry_points[0].triggers[0]).type == trigger["type"]


@pytest.mark.case("D-TR-1")
def test_a_webhook_takes_posts_from_anybody_and_acknowledges() -> None:
    trigger = typed(sound({"type": "webhook", "path": "/in"}).entry_points[0].triggers[0])
    assert isinstance(trigger, Webhook)
    assert (trigger.methods, trigger.auth.type, trigger.response.type) == (("POST",), "none", "ack")


def test_tags_may_be_written_as_a_word() -> None:
    trigger = typed(sound({"type": "webhook", "path": "/in", "response": "sync"}).entry_points[0].triggers[0])
    assert isinstance(trigger, Webhook)
    assert trigger.response.type == "sync"


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        ({"type": "webhook"}, 'trigger 1 of entry point "e" (webhook) needs a field "path"'),
        (
            {"type": "webhook", "path": "/x", "metods": ["POST"]},
            'trigger 1 of entry point "e" (webhook) has no field "metods"',
        ),
        (
            {"type": "webhook", "path": "/x", "auth": {"type": "magic"}},
            '"auth" of trigger 1 of entry point "e" (webhook) must be one of none, hmac_header, bearer_token, '
            'not "magic"',
        ),
        (
            {"type": "schedule", "cron": "0 9 * * 1", "timezone": "Mars/Base"},
            '"timezone" of trigger 1 of entry point "e" (schedule): no time zone is called "Mars/Base"',
        ),
    ],
)
def test_wrong_fields_of_a_trigger_are_told(trigger: dict[str, Any], message: str) -> None:
    [problem] = parse(trigger).problems
    assert problem.message == message


def test_a_wrong_cron_expression_is_told() -> None:
    [problem] = parse({"type": "schedule", "cron": "whenever"}).problems
    assert problem.pointer == "/entry_points/0/triggers/0/cron"
