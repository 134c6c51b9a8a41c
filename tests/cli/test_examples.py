"""What is printed to be pasted is accepted: examples fit their schema, or a placeholder stands there."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

from agentflow.cli.examples import PLACEHOLDER, answer_command, example, sketch
from agentflow.cli.shown import clean
from agentflow.cli.values import assignments, document
from agentflow.definition.samples import fits
from agentflow.steps.unset import UNSET
from tests.cli.project import Project


def of(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object whose properties are all required."""
    return {"type": "object", "required": list(properties), "properties": properties}


TEXT: dict[str, Any] = {"type": "string"}
FORMATS = ("date", "date-time", "time", "email", "uri", "uuid", "ipv4", "ipv6", "hostname", "duration", "uri-reference")
SCHEMAS: tuple[Any, ...] = (
    *(of(x={**TEXT, "format": name}) for name in FORMATS),
    *({**TEXT, "format": name} for name in FORMATS),
    of(x={**TEXT, "minLength": 30}),
    of(x={**TEXT, "maxLength": 2}),
    of(x={**TEXT, "minLength": 3, "maxLength": 3}),
    of(x={**TEXT, "pattern": "^[A-Z]{3}-[0-9]{3}$"}),
    of(x={**TEXT, "pattern": "^[0-9]{5}$"}),
    of(x={**TEXT, "pattern": "^v[0-9]+$", "examples": ["nonsense", "v2"]}),
    of(x={"type": "integer", "minimum": 18, "maximum": 99}),
    of(x={"type": "integer", "exclusiveMinimum": 18}),
    of(x={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
    of(x={"type": "integer", "minimum": 7, "multipleOf": 5}),
    of(x={"type": "integer", "maximum": -4}),
    of(x={"type": "number", "exclusiveMaximum": 0}),
    of(x={"type": "integer", "minimum": 1.5}),
    of(x={"enum": ["a b", "c"]}, y={"const": 5}, z={"enum": [None, 3]}),
    of(x={"type": "array", "minItems": 2, "items": {**TEXT, "format": "date"}}),
    of(x={"type": "array", "minItems": 3, "uniqueItems": True, "items": {"type": "integer"}}),
    of(x={"type": "array", "minItems": 2, "uniqueItems": True, "items": {"enum": ["a", "b", "c"]}}),
    of(x={"type": "array", "prefixItems": [{"type": "integer"}, TEXT], "items": False}),
    of(x=of(deep=of(day={**TEXT, "format": "date"}, n={"type": "integer", "minimum": 3}))),
    of(x={"anyOf": [{"type": "integer", "minimum": 5}, {"type": "null"}]}),
    of(x={"oneOf": [{"const": "yes", "title": "Yes"}, {"const": "no"}]}),
    of(x={"allOf": [{"type": "string"}, {"minLength": 9}]}),
    {"anyOf": [of(a={"type": "integer"}), of(b={**TEXT, "format": "date"})]},
    {"type": "object", "required": ["kind"], "properties": {"kind": TEXT}, "allOf": [of(n={"type": "integer"})]},
    {"$ref": "#/$defs/pay", "$defs": {"pay": of(on={"$ref": "#/$defs/day"}), "day": {**TEXT, "format": "date"}}},
    {"type": "object", "properties": {"a": TEXT, "b": {"type": "integer"}}, "maxProperties": 1},
    of(**{"a.b": TEXT, "c=d": TEXT, "e f": TEXT}),
    of(x={**TEXT, "default": "@home"}, y={**TEXT, "const": "it's $HOME `x`"}),
    of(x={**TEXT, "const": "5"}, y={"type": ["string", "integer"], "const": "7"}),
    of(x={**TEXT, "const": "clear\x1b[2J\u202e"}),
    of(x={"type": "boolean"}, y={"type": "null"}),
    of(x={"not": {"type": "null"}}),
    of(x={"type": "integer", "default": "wrong", "minimum": 4}),
    {"type": ["integer", "null"]},
    {"type": "array", "items": of(day={**TEXT, "format": "date"}), "minItems": 1},
    {"minimum": 3},
    {},
    True,
    None,
)


def told(command: str, schema: Any, default: dict[str, Any] | None = None) -> Any:
    """Return the answer that a printed command gives, read as the command line reads it."""
    words = shlex.split(command)
    assert words[:4] == ["agentflow", "waits", "answer", "w5d1kq"]
    options = dict.fromkeys(words[4::2])
    if list(options) == ["--data"]:
        return document(words[5], "--data")
    value = assignments(words[5::2], schema, "--set")
    return {**(default or {}), **value}


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_the_printed_answer_fits_its_schema(schema: Any) -> None:
    found = example(schema)
    assert found is not UNSET
    assert fits(schema, found), found
    command = answer_command("w5d1kq", schema)
    assert PLACEHOLDER not in command
    assert command == clean(command)
    assert fits(schema, told(command, schema)), command


@pytest.mark.parametrize(
    "schema",
    [
        of(x={**TEXT, "pattern": "^[q-z]{3}[0-9]{9}[Q-Z]{4}$"}),
        {"type": "integer", "minimum": 5, "maximum": 3},
        False,
        {"not": {}},
    ],
)
def test_where_no_example_is_found_a_placeholder_says_so(schema: Any) -> None:
    assert example(schema) is UNSET
    assert answer_command("w5d1kq", schema) == "agentflow waits answer w5d1kq --data '<JSON>'"
    sketch(schema)  # an editor opens with something all the same


def test_the_command_names_what_is_required_and_keeps_what_is_there_by_default() -> None:
    schema = {**of(decision={"enum": ["approve", "reject"]}, note=TEXT), "required": ["decision"]}
    assert answer_command("w5d1kq", schema) == "agentflow waits answer w5d1kq --set decision=approve"
    assert answer_command("w5d1kq", {"type": "boolean"}) == "agentflow waits answer w5d1kq --data true"
    assert answer_command("w5d1kq", None) == "agentflow waits answer w5d1kq --data null"
    day = of(a={**TEXT, "format": "date"}, b={"type": "integer", "minimum": 3})
    command = answer_command("w5d1kq", day, {"b": 4})
    assert fits(day, told(command, day, {"b": 4})), command


def test_an_example_shows_everything_that_may_be_given() -> None:
    schema = {
        "type": "object",
        "properties": {"d": {"enum": ["approve"]}, "n": {"type": "number", "default": 250}, "t": TEXT},
    }
    assert example(schema) == {"d": "approve", "n": 250, "t": "text"}
    assert example({"type": "array", "items": {"type": "integer", "minimum": 3}}) == [3]
    assert example({"$ref": "#"}) is None


def test_the_command_that_a_wait_shows_is_accepted(project: Project) -> None:
    config = """\
workflows:
  approve:
    steps:
      - id: review
        type: wait_for_input
        message: "When to pay?"
        schema: {type: object, required: [pay_on, n], properties: {
          pay_on: {type: string, format: date}, n: {type: array, minItems: 2, items: {type: integer, minimum: 5}}}}
"""
    (project.folder / "agentflow.yaml").write_text(config, encoding="utf-8")
    parked = project.run("run", "approve", "--no-ask")
    shown = project.run("waits", "show", "@last").stdout
    commands = re.findall(r"agentflow (waits answer .*)", parked.stderr + shown)
    assert len(set(commands)) == 1
    done = project.run(*shlex.split(commands[0]))
    assert done.returncode == 0, done.stderr
    assert project.json("runs", "list")["runs"][0]["state"] == "completed"
