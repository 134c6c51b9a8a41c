"""Steps that park: what each waits for. They are pure: a prompt does no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import ValidationError

from agentflow.steps import registry
from agentflow.steps.contract import EventWait, Outcome, Park, Result, Timer, Wait
from agentflow.steps.unset import UNSET

SCHEMA = {"type": "object", "properties": {"approved": {"type": "boolean"}}}


@dataclass
class FakeContext:
    """What a prompt sees."""

    address: str = "ask"
    time: float = 1_000.0

    def now(self) -> float:
        return self.time


def ask(name: str, config: dict[str, Any]) -> Outcome:
    """Prompt as the planner would."""
    spec = registry.find(name)
    assert spec is not None
    assert spec.prompt is not None
    assert spec.whole_timeout
    return spec.prompt(spec.config.model_validate(config), FakeContext())


def test_a_question_parks_with_its_schema_and_assignees() -> None:
    config = {"message": "Approve?", "schema": SCHEMA, "assignees": ["ana"]}
    assert ask("wait_for_input", config) == Park(Wait("input", "Approve?", schema=SCHEMA, assignees=("ana",)))


def test_a_default_of_null_is_a_default() -> None:
    without, null = ask("wait_for_input", {"message": "?"}), ask("wait_for_input", {"message": "?", "default": None})
    assert isinstance(without, Park)
    assert isinstance(null, Park)
    assert isinstance(without.on, Wait)
    assert isinstance(null.on, Wait)
    assert without.on.default is UNSET
    assert null.on.default is None


def test_an_event_wait_has_topic_filter_and_look_back() -> None:
    config = {"topic": "orders", "filter": {"id": 7}, "since": "5m", "default": {}}
    expected = EventWait("orders", {"id": 7}, since=300.0, default={}, message='Waits for an event of topic "orders"')
    assert ask("wait_for_event", config) == Park(expected)


def test_an_event_filter_may_be_a_condition() -> None:
    outcome = ask("wait_for_event", {"topic": "orders", "filter": "event.total > 10", "message": "The order"})
    assert outcome == Park(EventWait("orders", "event.total > 10", message="The order"))


def test_an_external_tool_call_tells_tool_and_input() -> None:
    details = {"tool_name": "crm.search", "input": {"q": "x"}}
    outcome = ask("external_tool_call", {"tool_name": "crm.search", "input": {"q": "x"}, "schema": SCHEMA})
    assert outcome == Park(Wait("tool", 'Run tool "crm.search"', schema=SCHEMA, details=details))


def test_an_external_tool_call_without_input_gives_an_empty_one() -> None:
    outcome = ask("external_tool_call", {"tool_name": "now", "message": "What time is it?"})
    assert outcome == Park(Wait("tool", "What time is it?", details={"tool_name": "now", "input": {}}))


@pytest.mark.parametrize(
    ("config", "due"),
    [
        ({"for": "5s"}, 1_005.0),
        ({"for": "1m 30s"}, 1_090.0),
        ({"for": 0.5}, 1_000.5),
        ({"until": "1970-01-01T00:30:00Z"}, 1_800.0),
        ({"until": "1970-01-01T02:00:00+01:00"}, 3_600.0),
        ({"until": "1970-01-02"}, 86_400.0),
        ({"until": 1_001}, 1_001.0),
    ],
)
@pytest.mark.case("A-10")
def test_a_delay_parks_on_the_time_it_is_due(config: dict[str, Any], due: float) -> None:
    outcome = ask("delay", config)
    assert isinstance(outcome, Park)
    assert outcome.on == Timer(due)


@pytest.mark.parametrize("config", [{"for": 0}, {"until": "1970-01-01"}, {"until": 1_000}])
@pytest.mark.case("A-10")
def test_a_delay_that_is_past_is_done_at_once(config: dict[str, Any]) -> None:
    assert ask("delay", config) == Result({})


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("delay", {}, "give either for or until"),
        ("delay", {"for": 1, "until": 2}, "give either for or until"),
        ("delay", {"for": "soon"}, "500ms, 30s, 5m"),
        ("delay", {"until": "tomorrow"}, "is no ISO 8601 time"),
        ("delay", {"for_": 1}, "Extra inputs"),
        ("wait_for_input", {}, "message"),
        ("wait_for_input", {"message": "?", "schema_": {}}, "Extra inputs"),
        ("wait_for_event", {"topic": ""}, "at least 1 character"),
        ("wait_for_event", {"topic": "a", "since": "-1s"}, "since"),
        ("external_tool_call", {"input": {}}, "tool_name"),
    ],
)
def test_a_wait_that_is_not_whole_is_refused(name: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ask(name, config)
