"""The table of schemas, and how a value is typed into a form or written on a command line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from agentflow.cli.forms import (
    Question,
    demands,
    fields_of,
    item_question,
    questions,
    variant_question,
    variants,
)
from agentflow.cli.prompts import LISTED
from agentflow.cli.values import assignments
from agentflow.data import is_array, is_object
from agentflow.definition.form_parts import ruled
from agentflow.definition.samples import fits
from agentflow.definition.source import load_document
from agentflow.definition.typed_text import given_as, read_items
from agentflow.errors import InputError
from agentflow.steps.unset import UNSET

FILE = Path(__file__).with_name("sixty_schemas.yaml")
ENTER, DOWN, JSON = "\r", "\x1b[B", "\x18"


class Case(NamedTuple):
    """A value, and what becomes of it."""

    number: int
    """Of its schema, from 0."""
    schema: dict[str, Any]
    value: Any
    told: tuple[str, ...]
    """What is wrong with it; empty: it is taken."""


def cases() -> list[Case]:
    """Return all of the table."""
    rows: Any = load_document(FILE.read_text(encoding="utf-8"), FILE.name).data
    found: list[Case] = []
    for number, row in enumerate(rows):
        found += [Case(number, row["schema"], value, ()) for value in row["takes"]]
        found += [Case(number, row["schema"], each["value"], tuple(each["told"])) for each in row["refuses"]]
    return found


def few(all_cases: Sequence[Case]) -> list[Case]:
    """Return of each schema the first value that is taken and the first that is refused."""
    seen = set[tuple[int, bool]]()
    return [case for case in all_cases if (key := (case.number, bool(case.told))) not in seen and not seen.add(key)]


def config_of(all_cases: Sequence[Case]) -> str:
    """Return a config with a workflow for each schema, which waits for an answer and gives it as its output."""
    workflows = {
        workflow_of(case): {
            "steps": [{"id": "ask", "type": "wait_for_input", "message": "And?", "schema": case.schema}],
            "output": "{steps.ask}",
        }
        for case in all_cases
    }
    return json.dumps({"name": "sixty", "workflows": workflows})


def workflow_of(case: Case) -> str:
    """Return the id of the workflow that asks by a case's schema."""
    return f"w{case.number:02}"


def as_options(case: Case) -> list[str]:
    """Return the options that give a value on a command line: `--set` where that says the same, else `--data`."""
    items = _items(case.value, "") if is_object(case.value) else []
    try:
        read = assignments(items, case.schema, "--set")
    except InputError:
        read = UNSET
    if items and _same(read, case.value):
        return [word for item in items for word in ("--set", item)]
    return ["--data", json.dumps(case.value)]


def _items(value: dict[str, Any], start: str) -> list[str]:
    found: list[str] = []
    for name, each in value.items():
        if is_object(each) and each:
            found += _items(each, f"{start}{name}.")
        elif is_array(each) and each and all(isinstance(one, str) and not set(one) & set(',"[{') for one in each):
            found.append(f"{start}{name}={','.join(each)}")
        else:
            found.append(f"{start}{name}={each if isinstance(each, str) else json.dumps(each)}")
    return found


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are one as JSON, where `true` is no 1."""
    return UNSET not in (one, other) and json.dumps(one) == json.dumps(other)


def as_json(value: Any) -> str:
    """Return the keys that give a whole answer as JSON."""
    return JSON + json.dumps(value, ensure_ascii=False) + ENTER


def as_keys(schema: Any, value: Any) -> str | None:
    """Return the keys that fill in a form field by field; None where a form has no place for the value."""
    asked = questions(schema)
    if len(asked) == 1 and asked[0].name == "":
        return _keys(asked[0], value)
    return _object(asked, schema, value)


def _object(asked: Sequence[Question], schema: Any, value: Any) -> str | None:
    if not is_object(value) or not value.keys() <= {question.name for question in asked}:
        return None
    typed: list[str] = []
    before: dict[str, Any] = {}
    for question in asked:
        forbidden, needed = ruled(schema, before)
        if question.name in forbidden:
            if question.name in value:
                return None
            continue
        here = replace(question, required=True) if question.name in needed else question
        keys = _keys(here, value.get(question.name, UNSET))
        if keys is None:
            return None
        typed.append(keys)
        if question.name in value:
            before[question.name] = value[question.name]
    return "".join(typed)


def _keys(question: Question, value: Any) -> str | None:
    if question.kind == "constant":
        return "" if _same(value, question.default) else None
    if question.kind == "shown":
        return "" if value == question.default else None
    if value is UNSET:
        return _left_out(question)
    if question.kind == "choice":
        return _choice(question, value)
    if question.kind == "checks":
        return _checks(question, value)
    if question.kind == "fields":
        gate = "yes\r" if not question.required and demands(question) else ""
        inner = _object(fields_of(question), question.schema, value)
        return None if inner is None else gate + inner
    if question.kind == "variants":
        return _variant(question, value)
    if question.kind == "rows":
        return _rows(question, value)
    if question.kind == "list":
        return _list(question, value)
    if question.kind == "edit":
        return json.dumps(value, ensure_ascii=False) + ENTER
    return _text(question, value)


def _left_out(question: Question) -> str | None:
    if question.required or question.has_default:
        return None
    if question.kind == "fields" and not demands(question):
        return _object(fields_of(question), question.schema, {})
    return ENTER


def _choice(question: Question, value: Any) -> str | None:
    at = next((n for n, choice in enumerate(question.choices) if _same(choice.value, value)), None)
    if at is None:
        return None
    if len(question.choices) > LISTED:
        return question.choices[at].label + ENTER
    first = next((n for n, choice in enumerate(question.choices) if _same(choice.value, question.default)), 0)
    return DOWN * ((at - first) % len(question.choices) + (not question.required and not question.has_default)) + ENTER


def _checks(question: Question, value: Any) -> str | None:
    boxes = [choice.value for choice in question.choices]
    if not is_array(value) or [box for box in boxes if box in value] != value:
        return None
    if not value and not question.required and not question.has_default:
        return None
    before: Any = question.default if question.has_default else []
    return DOWN.join(" " if (box in value) is not (box in before) else "" for box in boxes) + ENTER


def _variant(question: Question, value: Any) -> str | None:
    found, _ = variants(question)
    tags = found[0].tag
    at = next(
        (n for n, each in enumerate(found) if fits(each.schema, value) or _is_tagged(each.schema, tags, value)), None
    )
    if at is None:
        return None
    inner = _keys(variant_question(question, found[at]), value)
    down = DOWN * (at + (not question.required and not question.has_default))
    return None if inner is None else down + ENTER + inner


def _is_tagged(schema: Mapping[str, Any], tags: frozenset[str], value: Any) -> bool:
    properties = schema["properties"]
    return is_object(value) and all(tag in value and fits(properties[tag], value[tag]) for tag in tags)


def _rows(question: Question, value: Any) -> str | None:
    least, most = question.schema.get("minItems", 0), question.schema.get("maxItems")
    if not is_array(value) or len(value) < least or (most is not None and len(value) > most):
        return None
    typed = ""
    for number, row in enumerate(value, 1):
        inner = _keys(item_question(question, number), row)
        if inner is None:
            return None
        typed += ("yes\r" if number > least else "") + inner
    return typed if len(value) == most else typed + ENTER


def _list(question: Question, value: Any) -> str | None:
    if not is_array(value) or (not value and (question.has_default or not question.required)):
        return None
    typed = ""
    for number, item in enumerate(value):
        if is_object(item) or is_array(item) or item is None or item == "":
            return None
        text = item if isinstance(item, str) else json.dumps(item)
        if not _same(
            read_items([text], {**question.schema, "prefixItems": question.schema.get("prefixItems", [])[number:]}),
            [item],
        ):
            return None
        typed += (f'"{text}"' if "," in text else text) + ENTER
    return typed + ENTER


def _text(question: Question, value: Any) -> str | None:
    if is_object(value) or is_array(value) or (value is None and not question.nullable):
        return None
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    if text == "" and (question.has_default or not question.required):
        return None
    if text and not _same(given_as(text, question.schema), value):
        return None
    if question.kind == "long":
        return text.replace("\n", ENTER) + ENTER + ENTER if text else ENTER
    return None if "\n" in text else text + ENTER
