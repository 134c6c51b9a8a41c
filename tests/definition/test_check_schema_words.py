"""Words that mean nothing in a JSON Schema are refused wherever a schema stands, with the long form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.definition.checking import check, problems_of

SHORT = [
    ({"n": "integer"}, "write {type: object, properties: {n: {type: integer}}, required: [n]}"),
    ({"n": "integer?"}, "write {type: object, properties: {n: {type: integer}}}"),
    ({"n": {"type": "integer"}}, "write {type: object, properties: {n: {type: integer}}, required: [n]}"),
    ({"title": "string"}, "write {type: object, properties: {title: {type: string}}, required: [title]}"),
    ({"type": "object", "n": "integer"}, "write {type: object, properties: {n: {type: integer}}, required: [n]}"),
]


@pytest.mark.parametrize(("schema", "hint"), SHORT)
@pytest.mark.parametrize(
    "kind", ["wait_for_input", "external_tool_call", "input_schema", "output_schema", "tool", "trigger"]
)
def test_the_short_form_of_inputs_is_refused_where_a_schema_stands(
    schema: dict[str, Any], hint: str, kind: str
) -> None:
    written = json.dumps(schema)
    if kind in ("input_schema", "output_schema"):
        found = check("- {id: a, type: set, value: 1}\n", f"{kind}: {written}")
    elif kind == "tool":
        found = problems_of(
            f"python: {{modules: [m]}}\ntools: {{t: {{python: 'm:f', input_schema: {written}}}}}\nworkflows: {{}}"
        )
    elif kind == "trigger":
        trigger = f"{{type: tool, name: t, description: d, input_schema: {written}}}"
        found = check("- {id: a, type: set, value: 1}\n", f"entry_points: [{{id: e, triggers: [{trigger}]}}]")
    else:
        more = "message: m" if kind == "wait_for_input" else "tool_name: t, message: m"
        found = check(f"- {{id: a, type: {kind}, {more}, schema: {written}}}\n")
    assert [(problem.code, problem.severity, problem.hint) for problem in found] == [
        ("AF-SCHEMA-INVALID", "error", hint)
    ]


@pytest.mark.parametrize(
    ("schema", "label"),
    [
        ({"type": "object", "propertis": {}}, 'did you mean "properties"?'),
        ({"type": "object", "properties": {"a": {"typ": "integer"}}}, None),
        ({"type": "object", "properties": {"a": {"minimun": 3}}}, 'did you mean "minimum"?'),
        ({"type": "array", "items": {"enumm": [1]}}, 'did you mean "enum"?'),
    ],
)
def test_a_misspelt_word_is_told_also_inside(schema: dict[str, Any], label: str | None) -> None:
    [problem] = check(f"- {{id: a, type: wait_for_input, message: m, schema: {json.dumps(schema)}}}\n")
    assert problem.code == "AF-SCHEMA-INVALID"
    assert label is None or problem.label == label


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"title": "How many", "type": "integer"},
        {"description": "anything"},
        {"type": "object", "properties": {"n": {"type": "integer", "x-widget": "slider", "example": 3}}},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {"a": {}}, "anyOf": [{"const": 1}]},
        {"type": "string", "nullable": True},
        {},
        {"type": "object", "properties": {"propertis": {"type": "string"}}, "required": ["propertis"]},
        {"enum": ["a"], "ui": {"widget": "radio"}},
    ],
)
def test_usual_schemas_pass(schema: dict[str, Any]) -> None:
    assert check(f"- {{id: a, type: wait_for_input, message: m, schema: {json.dumps(schema)}}}\n") == []
