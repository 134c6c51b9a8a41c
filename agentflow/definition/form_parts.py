"""What a form for an answer asks: the parts of its JSON Schema, for doors that show forms. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from agentflow.data import is_array, is_object
from agentflow.definition.plain_schema import NULLED, options_of, plain, shared_of
from agentflow.definition.samples import check
from agentflow.definition.typed_text import NUMBERS, alternatives, resolve, types_of

_MANY = ("", "array", "object")
"""Types of what isn't typed in a line."""


class Choice(NamedTuple):
    """One value to choose from."""

    value: Any
    label: str


class Part(NamedTuple):
    """What one line of a form asks."""

    name: str
    """Property; empty: the answer as a whole."""
    schema: dict[str, Any]
    required: bool
    choices: tuple[Choice, ...]
    """Empty: any value that the schema takes."""
    given: tuple[Any, ...]
    """What stands there unless something else is put in; empty: nothing."""
    look: dict[str, Any]
    """The schema as a form shows it: without references and `allOf`."""

    @property
    def type(self) -> str:
        """The JSON type of what is put in, `number` for whole ones too; empty where several may be."""
        types = [name for name in types_of(self.look) if name != "null"]
        if types and all(name in NUMBERS for name in types):
            return "number"
        return types[0] if len(types) == 1 else ""


def parts_of(schema: object, *given: Any) -> list[Part]:
    """Return the parts of a form: one a property of an object, else one.

    Args:
        schema: JSON Schema of the answer; anything but an object allows any value.
        given: the answer that stands in the form at first, if there is one.
    """
    root = resolve(schema)
    look = plain(root)
    properties = look.get("properties")
    if not is_object(properties) or not properties or len(_objects(look)) > 1:
        return [part_of("", root, True, *given)]
    required = look.get("required")
    needed = {str(name) for name in required} if is_array(required) else set[str]()
    filled: Mapping[str, Any] = given[0] if given and is_object(given[0]) else {}
    shared = shared_of(root)
    return [
        part_of(name, {**shared, **resolve(part, root)}, name in needed, *([filled[name]] if name in filled else []))
        for name, part in properties.items()
    ]


def _objects(look: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the alternatives that have fields of their own."""
    return [option for option in options_of(look) if set(option) - {"required", "title", "description"}]


def inside(part: Part) -> list[Part]:
    """Return the parts of an object that has plain fields and no others, which are asked one by one; else nothing."""
    if part.type != "object" or part.choices or part.schema.get("additionalProperties") is not False:
        return []
    parts = parts_of(part.schema, *part.given)
    return parts if all(each.name and (each.choices or each.type not in _MANY) for each in parts) else []


def ruled(schema: object, answers: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the properties that may not be given, and those that have to be, once some are: `if`, `then` and `else`.

    Args:
        schema: JSON Schema of the answer.
        answers: what was answered so far.
    """
    root = resolve(schema)
    several = root.get("allOf")
    forbidden, needed = set[str](), set[str]()
    for rule in [root, *(several if is_array(several) else [])]:
        if not is_object(rule) or "if" not in rule:
            continue
        branch = rule.get("else" if check(rule["if"], dict(answers)) else "then")
        if is_object(branch):
            properties, required = branch.get("properties"), branch.get("required")
            needed |= {str(name) for name in required} if is_array(required) else set[str]()
            forbidden |= (
                {name for name, part in properties.items() if part is False} if is_object(properties) else set[str]()
            )
    return frozenset(forbidden), frozenset(needed)


def part_of(name: str, schema: dict[str, Any], required: bool, *given: Any) -> Part:
    """Return one part of a form.

    Args:
        name: of the property.
        schema: its schema, with the definitions that it refers to.
        required: whether it has to be given.
        given: what stands there at first, if anything does.
    """
    look = plain(schema)
    if not given and "default" in look:
        given = (look["default"],)
    return Part(name, schema, required, _choices(look), given, look)


def _choices(look: Mapping[str, Any]) -> tuple[Choice, ...]:
    options = look.get("enum")
    if is_array(options):
        absent = [None] if NULLED in look and None not in options else []
        return tuple(Choice(value, _said(value)) for value in [*options, *absent])
    parts = [plain({**shared_of(look), **part}) for part in alternatives(look)]
    parts = [{"const": None, **part} if part.get("type") == "null" else part for part in parts]
    if parts and all("const" in part for part in parts):
        return tuple(Choice(part["const"], str(part.get("title") or _said(part["const"]))) for part in parts)
    return ()


def _said(value: Any) -> str:
    return "none" if value is None else shown(value)


def shown(value: Any) -> str:
    """Return a value as people read it: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
