"""A JSON Schema becomes questions, and typed text an answer that fits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow.cli.forms import Invalid, assemble, fields_of, parse, questions, template
from agentflow.cli.prompts import prompt_text
from agentflow.definition.samples import check
from agentflow.steps.unset import UNSET

REVIEW: dict[str, Any] = {
    "type": "object",
    "properties": {
        "decision": {"enum": ["approve", "reject"], "description": "What should happen to the report"},
        "amount": {"type": "number", "minimum": 0, "maximum": 1000, "title": "Budget in EUR", "default": 250},
        "note": {"type": "string"},
    },
    "required": ["decision"],
}


def test_each_property_is_a_question_in_the_schemas_order() -> None:
    asked = questions(REVIEW)
    assert [(q.name, q.kind, q.required) for q in asked] == [
        ("decision", "choice", True),
        ("amount", "number", False),
        ("note", "text", False),
    ]
    assert prompt_text(asked[1]) == "Budget in EUR, 0 to 1000  [250]: "
    assert prompt_text(asked[2]) == "(empty to leave out): "


def test_a_value_outside_its_limits_is_refused_in_the_schemas_words() -> None:
    amount = questions(REVIEW)[1]
    with pytest.raises(Invalid, match="5000 is greater than the maximum of 1000"):
        parse(amount, "5000")
    assert parse(amount, "400") == 400
    assert parse(amount, "") == 250


def test_a_prefilled_value_changes_the_default_and_no_limit() -> None:
    amount = questions(REVIEW, {"amount": 10})[1]
    assert parse(amount, "") == 10
    with pytest.raises(Invalid, match="maximum of 1000"):
        parse(amount, "5000")


def test_a_choice_is_found_by_its_beginning() -> None:
    decision = questions(REVIEW)[0]
    assert parse(decision, "a") == "approve"
    with pytest.raises(Invalid, match='"maybe" is not among the choices: approve, reject'):
        parse(decision, "maybe")
    with pytest.raises(Invalid, match="an answer is needed"):
        parse(decision, "")


def test_an_optional_answer_left_empty_is_left_out() -> None:
    asked = questions(REVIEW)
    values = {"decision": "approve", "amount": 250, "note": parse(asked[2], "")}
    assert values["note"] is UNSET
    assert assemble(asked, values) == {"decision": "approve", "amount": 250}


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "boolean"}, "yes", True),
        ({"type": "boolean"}, "n", False),
        ({"type": "integer"}, "7", 7),
        ({"type": "string"}, "7", "7"),
        ({"enum": [1, 2, 3]}, "2", 2),
        ({"oneOf": [{"const": "a", "title": "Apple"}, {"const": "b", "title": "Berry"}]}, "berry", "b"),
        ({"type": ["string", "null"]}, "x", "x"),
        ({"type": "array", "items": {"type": "integer"}}, "[1, 2]", [1, 2]),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, "3", 3),
    ],
)
def test_a_schema_that_is_no_object_is_one_question(schema: dict[str, Any], text: str, value: Any) -> None:
    (question,) = questions(schema)
    assert question.name == ""
    assert parse(question, text) == value
    assert assemble([question], {"": value}) == value


def test_a_constant_is_not_asked() -> None:
    (question,) = questions({"type": "object", "properties": {"v": {"const": 1}}})
    assert question.kind == "constant"
    assert question.default == 1


def test_an_object_of_any_fields_is_edited_from_a_template() -> None:
    free = {"type": "object", "minProperties": 1, "examples": [{"a": 1}]}
    (question,) = questions({"type": "object", "properties": {"who": free}})
    assert question.kind == "edit"
    assert json.loads(template(question)) == {"a": 1}


def test_an_object_is_asked_field_by_field_under_the_whole_name_of_each() -> None:
    edit = {"type": "object", "properties": {"amount": {"type": "integer", "maximum": 1000}, "to": {"type": "object"}}}
    (question,) = questions({"type": "object", "properties": {"edit": edit}})
    assert question.kind == "fields"
    assert [(f.shown_name, f.kind) for f in fields_of(question)] == [("edit.amount", "number"), ("edit.to", "edit")]


def test_a_number_that_may_be_a_text_is_typed_and_may_be_left_out() -> None:
    cost = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": "^[0-9.]+$"}]}
    (question,) = questions({"type": "object", "properties": {"cost": cost}})
    assert question.kind == "text"
    assert parse(question, "1.5") == 1.5
    assert parse(question, "") is UNSET


def test_a_nested_reference_still_resolves_inside_its_question() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": {"$ref": "#/$defs/row"}}},
        "$defs": {"row": {"type": "integer", "minimum": 1}},
    }
    (question,) = questions(schema)
    assert parse(question, "[1, 2]") == [1, 2]
    with pytest.raises(Invalid, match="less than the minimum of 1"):
        parse(question, "[0]")


def test_an_answer_that_fits_by_parts_can_still_fail_as_a_whole() -> None:
    issues = check({**REVIEW, "minProperties": 2}, {"decision": "approve"})
    assert issues[0].path == ()


def test_a_broken_schema_leaves_the_judgement_to_the_engine() -> None:
    assert check({"type": 5}, "anything") == []


def test_a_password_is_marked_and_its_default_not_shown() -> None:
    (question,) = questions(
        {"type": "object", "properties": {"p": {"type": "string", "format": "password", "default": "x"}}}
    )
    assert question.secret
    assert "x" not in prompt_text(question)
