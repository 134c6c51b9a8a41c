"""Which tools workflows are, and what clients wouldn't take of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow import DefinitionError
from agentflow.config.load import load_text
from agentflow.definition.tools import CONTROLS, tools_of
from agentflow_mcp import controls

STEPS = "steps: [{id: s, type: set, value: 1}]"
TRIGGER = "triggers: [{type: tool, name: run_it, description: Runs it.}]"


def test_the_names_of_the_tools_that_look_after_runs_are_known_where_configs_are_checked() -> None:
    assert sorted(CONTROLS) == sorted(controls.CONTROLS)


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ("", ["w"]),
        (f"{TRIGGER}, ", ["run_it"]),
        (f"mcp: true, {TRIGGER}, ", ["w", "run_it"]),
        (f"mcp: false, {TRIGGER}, ", []),
        (f"entry_points: [{{id: e, {TRIGGER}}}], ", ["w", "run_it"]),
        ("triggers: [{type: tool, name: w, description: Runs it.}], mcp: {expose: true}, ", ["w"]),
    ],
)
def test_a_trigger_stands_for_its_workflow_unless_both_are_asked_for(fields: str, names: list[str]) -> None:
    config = load_text(f"workflows: {{w: {{{fields}{STEPS}}}}}")
    assert [each.name for each in tools_of(config.workflows["w"])] == names


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"workflows: {{wait_workflow: {{{STEPS}}}}}", "AF-TRIGGER-RESERVED"),
        (f"workflows: {{a: {{{TRIGGER}, {STEPS}}}, run_it: {{{STEPS}}}}}", "AF-TRIGGER-DUPLICATE"),
        (
            f"workflows: {{a: {{triggers: [{{type: tool, name: run it, description: d}}], {STEPS}}}}}",
            "AF-TRIGGER-NAME",
        ),
    ],
)
def test_names_that_clients_would_not_take_are_warned_of_when_the_config_loads(text: str, code: str) -> None:
    [warning] = load_text(text).warnings
    assert (warning.code, warning.severity) == (code, "warning")
    assert not load_text(text.replace(STEPS, f"mcp: false, {STEPS}")).warnings


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"a": {"type": "string", "x-mcp-header": "A b"}}, "no name of a header"),
        ({"a": {"type": "string", "x-mcp-header": 1}}, "no name of a header"),
        ({"a": {"type": "number", "x-mcp-header": "A"}}, "only texts, integers and booleans"),
        ({"a": {"items": {"type": "string", "x-mcp-header": "A"}}}, "no property of the arguments"),
        (
            {"a": {"type": "string", "x-mcp-header": "X"}, "b": {"type": "string", "x-mcp-header": "x"}},
            'is taken by "a"',
        ),
    ],
)
def test_a_header_of_an_argument_is_checked_when_the_config_loads(properties: Any, said: str) -> None:

    schema = json.dumps({"type": "object", "properties": properties})
    with pytest.raises(DefinitionError) as caught:
        load_text(f"workflows: {{w: {{input_schema: {schema}, {STEPS}}}}}")
    [problem] = caught.value.problems
    assert problem.code == "AF-SCHEMA-HEADER"
    assert said in problem.message
    trigger = f"triggers: [{{type: tool, name: t, description: d, input_schema: {schema}}}]"
    with pytest.raises(DefinitionError, match="x-mcp-header"):
        load_text(f"workflows: {{w: {{{trigger}, {STEPS}}}}}")


def test_a_prompt_names_inputs_that_there_are() -> None:
    text = f"workflows: {{w: {{input: {{name: string}}, mcp: {{prompt: 'Greet {{input.nam}} now'}}, {STEPS}}}}}"
    with pytest.raises(DefinitionError) as caught:
        load_text(text)
    [problem] = caught.value.problems
    assert (problem.code, problem.label) == ("AF-REF-INPUT", 'did you mean "name"?')
    assert not load_text(text.replace("nam}", "name}")).warnings


def test_headers_of_arguments_inside_of_objects_are_fine() -> None:
    inner = '{"type": "object", "properties": {"r": {"type": "string", "x-mcp-header": "Region"}}}'
    schema = f'{{"type": "object", "properties": {{"place": {inner}}}}}'
    assert not load_text(f"workflows: {{w: {{input_schema: {schema}, {STEPS}}}}}").warnings
