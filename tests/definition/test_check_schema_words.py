"""Words that mean nothing in a JSON Schema are refused wherever a schema stands, with the long form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow.config.load import load_text
from agentflow.definition.source import load_document
from agentflow.steps import step, wait_for_input
from tests.definition.checking import check, marked, problems_of, source

SHORT = [
    ({"n": "integer"}, "write {type: object, properties: {n: {type: integer}}, required: [n]}"),
    ({"n": "integer?"}, "write {type: object, properties: {n: {type: integer}}}"),
    ({"n": {"type": "integer"}}, "write {type: object, properties: {n: {type: integer}}, required: [n]}"),
    ({"title": "string"}, "write {type: object, properties: {title: {type: string}}, required: [title]}"),
    ({"type": "object", "n": "integer"}, "write {type: object, properties: {n: {type: integer}}, required: [n]}"),
]


@pytest.mark.parametrize(("schema", "hint"), SHORT)
@pytest.mark.parametrize("kind", ["input_schema", "output_schema", "tool", "trigger"])
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
    else:
        trigger = f"{{type: tool, name: t, description: d, input_schema: {written}}}"
        found = check("- {id: a, type: set, value: 1}\n", f"entry_points: [{{id: e, triggers: [{trigger}]}}]")
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


NOTHING = "is no word of JSON Schema, so nothing would be checked"
WAIT = "- {id: a, type: wait_for_input, message: m, schema: SCHEMA}\n"


def data(written: str) -> Any:
    """Return what stands in a file."""
    return load_document(written, "a.yaml").data


def widened(written: str) -> Any:
    """Return the schema that a wait has, where it is written so."""
    return load_text(source(WAIT.replace("SCHEMA", written))).workflows["w"].steps[0].config["schema"]


@pytest.mark.parametrize(
    ("written", "long"),
    [
        ("{approve: boolean}", {"properties": {"approve": {"type": "boolean"}}, "required": ["approve"]}),
        ("{note: string?}", {"properties": {"note": {"type": "string"}}}),
        ("{title: string}", {"properties": {"title": {"type": "string"}}, "required": ["title"]}),
        (
            "{decision: {enum: [yes, no]}, sum: {type: integer, default: 3}}",
            {"properties": {"decision": {"enum": ["yes", "no"]}, "sum": {"type": "integer", "default": 3}},
             "required": ["decision"]},
        ),
    ],
)  # fmt: skip
def test_a_wait_takes_the_short_form_of_inputs(written: str, long: dict[str, Any]) -> None:
    assert widened(written) == {"type": "object", **long}
    assert wait_for_input("a", message="m", schema=data(written)).config["schema"] == {"type": "object", **long}


@pytest.mark.parametrize(
    "written", ["{type: boolean}", "{description: anything}", "{enum: [1, 2]}", "{items: {type: string}}", "{}"]
)
def test_the_words_of_json_schema_are_no_names_of_fields(written: str) -> None:
    assert widened(written) == data(written)


@pytest.mark.parametrize(
    ("written", "message", "at"),
    [
        ("{approve: bool}", 'answer "approve" of step "a" (wait_for_input) has no known type: "bool"', "bool"),
        ("{approve: 3}", 'answer "approve" of step "a" (wait_for_input) must be a type or a mapping, not 3', "3"),
        ("{who: {nme: text, agw: 3}}", f'"nme" {NOTHING}', "nme"),
        ("{description: How sure?, approve: [1]}", f'"approve" {NOTHING}', "approve"),
        ("{type: array, items: {foo: 1}}", f'"foo" {NOTHING}', "foo"),
        (
            "{n: {type: integer, default: x}}",
            'the default of "n" doesn\'t fit its schema: "x" is not of type "integer"',
            "x",
        ),
    ],
)
def test_a_schema_that_can_refuse_nothing_is_told_where_it_stands(written: str, message: str, at: str) -> None:
    steps = WAIT.replace("SCHEMA", written)
    [problem] = check(steps)
    assert (problem.message, marked(problem, steps)) == (message, at)


def test_a_review_takes_the_short_form_and_an_approval_names_with_their_types() -> None:
    [problem] = check("- {id: a, type: set, value: 1, review: {edit: true, schema: {n: integer, m: {typ: x}}}}\n")
    assert problem.message == '"typ" is no word of JSON Schema'
    made = step("a", "set", {"value": {"n": 1}}, {"review": {"edit": True, "schema": {"n": "integer?"}}})
    assert made.review is not None
    assert made.review.schema_ == {"type": "object", "properties": {"n": {"type": "integer"}}}
    made = step("a", "set", {"value": {"n": 1}}, {"approve": {"edit": {"value": "object", "m": {"type": "string"}}}})
    assert made.approve is not None
    assert made.approve.edit == {"value": {"type": "object"}, "m": {"type": "string"}}
