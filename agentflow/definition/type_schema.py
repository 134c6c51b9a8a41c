"""JSON Schemas of Python types, where a definition that is made in Python has a type in the place of a schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from agentflow.data import is_object
from agentflow.definition.short_schema import with_schema


def is_type(value: object) -> bool:
    """Tell whether a value may be a type: it is nothing that a definition says itself."""
    return value is not None and not isinstance(value, str | int | float | list | tuple | Mapping)


def type_schema(kind: Any, mode: Literal["validation", "serialization"] = "validation") -> dict[str, Any]:
    """Return the JSON Schema of a type: a pydantic model, a dataclass, a TypedDict, `list[str]`.

    Raises:
        TypeError: data can't be of it.
    """
    from pydantic import TypeAdapter  # noqa: PLC0415  only where a type is given
    from pydantic.errors import PydanticUserError  # noqa: PLC0415  the same

    try:
        return TypeAdapter(kind).json_schema(mode=mode)
    except (PydanticUserError, TypeError, ValueError) as error:
        raise TypeError(f"{kind!r} is no type that data can have") from error


def with_types(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """Return a workflow's fields with JSON Schemas for types in `input`, `input_schema` and `output_schema`.

    Raises:
        ValueError: one is no type that data can have, or the short form of `input` isn't understood.
    """
    made = dict(workflow)
    try:
        if is_type(made.get("output_schema")):
            made["output_schema"] = type_schema(made["output_schema"], "serialization")
        for name in ("input", "input_schema"):
            if is_type(made.get(name)):
                made[name] = type_schema(made[name])
        given = made.get("input")
        if "input" in made and is_type(workflow["input"]) and "input_schema" not in made:
            made["input_schema"] = made.pop("input")  # whole, whatever it is the schema of
        elif is_object(given):
            return _with_fields(made, {name: type_schema(kind) for name, kind in given.items() if is_type(kind)})
    except TypeError as error:
        raise ValueError(str(error)) from None
    return with_schema(made) if "input" in made else made


def _with_fields(workflow: dict[str, Any], typed: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a workflow with `input_schema`: the short form of `input`, and schemas of types under their names."""
    made = with_schema({**workflow, "input": {**workflow["input"], **{name: {} for name in typed}}})
    if typed:
        schema: dict[str, Any] = made["input_schema"]
        shared: dict[str, Any] = {}
        for name, each in typed.items():
            shared.update(each.pop("$defs", {}))
            schema["properties"][name] = each
        made["input_schema"] = {**schema, "$defs": shared} if shared else schema
    return made
