"""The form of an answer page: from a JSON Schema, and back to the answer. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agentflow.data import is_array, is_object
from agentflow.definition.typed_text import alternatives, read_value, resolve, types_of

Kind = Literal["text", "long", "number", "boolean", "choice", "json"]
_FORMATS = {"email": "email", "uri": "url", "date": "date", "password": "password"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form."""

    name: str
    """Property of the answer; empty: the answer itself."""
    kind: Kind
    schema: Mapping[str, Any]
    label: str
    help: str = ""
    required: bool = False
    choices: Sequence[tuple[str, Any]] = ()
    """Labels with their values."""
    input_type: str = "text"
    shown: str = ""
    """What stands in it at first; of a choice, its number."""


def fields_of(schema: Mapping[str, Any] | None, default: Any = None) -> list[Field]:
    """Return the fields of a form for an answer.

    Args:
        schema: of the answer; None: anything is one.
        default: the answer that is taken when nobody answers: it stands in the form.
    """
    root = resolve(schema)
    properties = root.get("properties")
    if not is_object(properties) or not properties:
        return [_field("", root, root, required=True, default=default)]
    needed = root.get("required")
    required = {str(name) for name in needed} if is_array(needed) else set[str]()
    filled = default if is_object(default) else {}
    return [
        _field(name, resolve(part, root), root, required=name in required, default=filled.get(name))
        for name, part in properties.items()
    ]


def _field(name: str, schema: dict[str, Any], root: Mapping[str, Any], *, required: bool, default: Any) -> Field:
    choices = _choices(schema, root)
    kind = _kind(schema, choices)
    if default is None:
        default = schema.get("default")
    title, said = schema.get("title"), schema.get("description")
    label = str(title) if title else name.replace("_", " ").capitalize() or "Answer"
    return Field(
        name, kind, schema, label, str(said) if said else "", required, choices,
        _FORMATS.get(str(schema.get("format")), "text"), _shown(kind, choices, default),
    )  # fmt: skip


def _choices(schema: Mapping[str, Any], root: Mapping[str, Any]) -> list[tuple[str, Any]]:
    if is_array(schema.get("enum")):
        return [(_text(value), value) for value in schema["enum"]]
    parts = [resolve(part, root) for part in alternatives(schema)]
    if parts and all("const" in part for part in parts):
        return [(str(part.get("title") or _text(part["const"])), part["const"]) for part in parts]
    return [(_text(schema["const"]), schema["const"])] if "const" in schema else []


def _kind(schema: Mapping[str, Any], choices: Sequence[object]) -> Kind:
    if choices:
        return "choice"
    types = [name for name in types_of(schema) if name != "null"]
    if types == ["boolean"]:
        return "boolean"
    if types and all(name in ("integer", "number") for name in types):
        return "number"
    if types in (["string"], []):
        longest = schema.get("maxLength")
        short = "format" in schema or (isinstance(longest, int) and longest <= 200)
        return "text" if short else "long"
    return "json"


def _shown(kind: Kind, choices: Sequence[tuple[str, Any]], default: Any) -> str:
    if default is None:
        return ""
    if kind == "choice":
        return next((str(number) for number, (_, value) in enumerate(choices) if value == default), "")
    return ("true" if default else "") if kind == "boolean" else _text(default)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def answer_of(fields: Sequence[Field], given: Mapping[str, str]) -> Any:
    """Return the answer that a filled form gives. What can't be read stays a text: the wait's schema tells.

    Args:
        fields: of the form.
        given: what stands in the fields, by their names.
    """
    values: dict[str, Any] = {}
    for field in fields:
        text = given.get(field.name, "")
        if field.kind == "boolean":
            values[field.name] = text == "true"
        elif text != "" or (field.required and field.kind in ("text", "long")):
            values[field.name] = _value(field, text)
    if len(fields) == 1 and fields[0].name == "":
        return values.get("")
    return values


def _value(field: Field, text: str) -> Any:
    if field.kind == "choice":
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else len(field.choices)
        return field.choices[number][1] if number < len(field.choices) else text
    text = text.replace("\r\n", "\n")
    try:
        return read_value(text, field.schema)
    except ValueError:
        return text
