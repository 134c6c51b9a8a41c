"""The message that `serve` prints to be pasted starts a workflow, whatever that takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow.config import load_text
from agentflow.definition.models import Workflow
from agentflow.definition.samples import fits
from agentflow_a2a.choosing import choose
from agentflow_a2a.first import first_message
from agentflow_a2a.reading import said

INPUTS: tuple[tuple[Any, Any], ...] = (
    (None, {"text": "hello"}),
    ({"about": "string"}, {"about": "hello"}),
    ({"amount": "integer", "who": {"type": "string", "enum": ["ann", "bob"]}, "note": "string?"},
     {"amount": 1, "who": "ann"}),
    ({"files": {"type": "array", "default": ["README.md"]}}, {"files": ["README.md"]}),
    ({"day": {"type": "string", "format": "date"}}, {"day": "2026-01-31"}),
    ({"it": {"type": "string", "enum": ["it's"]}}, {"it": "it's"}),
)  # fmt: skip


def _workflow(name: str, short: Any, *examples: str) -> Workflow:
    given = {} if short is None else {"input": short}
    workflow = {"examples": examples, "steps": [{"id": "a", "type": "set", "value": 1}], **given}
    return load_text(json.dumps({"workflows": {name: workflow}})).workflows[name]


@pytest.mark.parametrize(("short", "expected"), INPUTS)
@pytest.mark.parametrize("more", [0, 1])
def test_a_first_message_starts_the_first_workflow_with_an_input_that_fits(
    short: Any, expected: Any, more: int
) -> None:
    workflow = _workflow("one", short)
    workflows = {"one": workflow, **({"two": _workflow("two", None)} if more else {})}
    message = first_message(workflows)
    start = choose(workflows, said(message), message.get("metadata", {}))
    assert (start.workflow, start.input) == ("one", expected)
    assert workflow.input_schema is None or fits(workflow.input_schema, start.input)


def test_a_first_message_says_what_the_workflow_gives_as_an_example_where_that_is_an_input() -> None:
    spoken = _workflow("one", {"about": "string"}, "Q3 for EMEA")
    assert first_message({"one": spoken})["parts"] == [{"text": "Q3 for EMEA"}]
    two_fields = _workflow("one", {"amount": "integer", "who": "string"}, "30 EUR for Ann")
    assert first_message({"one": two_fields})["parts"] == [{"data": {"amount": 1, "who": "text"}}]
