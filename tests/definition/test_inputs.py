"""An input that a workflow doesn't declare is found, unless its author has left that open."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.definition.inputs import undeclared
from agentflow.definition.models import Workflow

NAMED: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}, "region": {"type": "string"}}}


def flow(schema: dict[str, Any] | None) -> Workflow:
    """Return a workflow with this input."""
    return Workflow(id="w", input_schema=schema, steps=())


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"nmae": "x"}, 'workflow "w" declares no input "nmae"', 'did you mean "name"?'),
        ({"Name": "x"}, 'workflow "w" declares no input "Name"', 'did you mean "name"?'),
        ({"qqq": 1, "zzz": 2}, 'workflow "w" declares no inputs "qqq", "zzz"', "it declares: name, region"),
        ({"name": 1, "nam": 1}, 'workflow "w" declares no input "nam"', 'did you mean "name"?'),
    ],
)
def test_it_is_named_with_what_was_meant(given: dict[str, Any], message: str, hint: str) -> None:
    assert undeclared(flow(NAMED), given) == (message, hint)


@pytest.mark.parametrize("given", [{}, {"name": "x"}, {"name": "x", "region": "y"}, None, 5, ["nmae"], "nmae"])
def test_what_fits_and_what_has_no_names_is_no_matter(given: object) -> None:
    assert undeclared(flow(NAMED), given) is None


OPEN: tuple[dict[str, Any] | None, ...] = (
    None,
    {"type": "object"},
    {**NAMED, "additionalProperties": True},
    {**NAMED, "additionalProperties": {"type": "integer"}},
    {**NAMED, "patternProperties": {"^x": {}}},
    {**NAMED, "$ref": "#/$defs/more"},
    {**NAMED, "allOf": [{"properties": {"other": {}}}]},
)


@pytest.mark.parametrize("schema", OPEN)
def test_who_leaves_it_open_gets_what_comes(schema: dict[str, Any] | None) -> None:
    assert undeclared(flow(schema), {"other": 1}) is None


def test_a_closed_schema_says_it_the_same_way() -> None:
    assert undeclared(flow({**NAMED, "additionalProperties": False}), {"nmae": 1}) is not None


def test_a_workflow_without_inputs_takes_none() -> None:
    found = undeclared(flow({"type": "object", "properties": {}}), {"a": 1})
    assert found is not None
    assert found.hint == "it declares: none"


def test_names_that_were_there_before_are_left_alone() -> None:
    assert undeclared(flow(NAMED), {"old": 1, "name": "x"}, {"old": 1}) is None
