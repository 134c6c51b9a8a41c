"""What arguments a Python function takes, as JSON Schema, read from its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pydantic import ConfigDict, Field, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticUndefined

from agentflow.data import is_array, is_object
from agentflow.steps.functions import shape_of
from agentflow.steps.typed_arguments import hints_of

_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def schema_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the JSON Schema of the arguments that a function takes by name; what isn't declared may be anything.

    A function of one parameter may be given all of the input as that: so its schema neither requires nor refuses keys.
    """
    shape = shape_of(function)
    if shape.signature is None or any(name.startswith("_") for name in shape.names):
        return {"type": "object"}
    hints = hints_of(function)
    fields: dict[str, Any] = {}
    for name, parameter in shape.signature.parameters.items():
        if name != shape.context and parameter.kind not in _REST:
            default = PydanticUndefined if parameter.default is inspect.Parameter.empty else parameter.default
            fields[name] = (hints.get(name, Any), default)
    made = _schema({name: _field(*each) for name, each in fields.items()}, closed=shape.rest is None)
    if len(fields) == 1:
        made.pop("required", None)
        made.pop("additionalProperties", None)
    description = (inspect.getdoc(function) or "").partition("\n\n")[0]
    return {"type": "object", **({"description": description} if description else {}), **made}


def _field(kind: Any, default: Any) -> tuple[Any, Any]:
    """Return a field whose schema can be made, for whatever a parameter is annotated with."""
    try:
        _schema({"it": (kind, default)}, closed=True)
    except (PydanticUserError, TypeError, ValueError, RecursionError):
        kind = Any
    if default is not PydanticUndefined and not _is_plain(default):
        default = Field(default_factory=lambda: None)  # it has one, which can't be shown
    return (kind, default)


def _is_plain(default: Any) -> bool:
    """Tell whether a default can be shown."""
    if is_array(default):
        return all(map(_is_plain, default))
    if is_object(default):
        return all(map(_is_plain, default.values()))
    return default is None or type(default) in (str, int, float, bool)


def _schema(fields: dict[str, Any], *, closed: bool) -> dict[str, Any]:
    config = ConfigDict(extra="forbid" if closed else "allow", protected_namespaces=())
    model = create_model("Arguments", __config__=config, **fields)
    schema = model.model_json_schema()
    _untitled(schema)
    return schema


def _untitled(schema: Any) -> None:
    """Take out the titles that are made of names: they say nothing."""
    if is_array(schema):
        for each in schema:
            _untitled(each)
    elif is_object(schema):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for key, each in schema.items():
            for inner in each.values() if key in ("properties", "$defs") and is_object(each) else (each,):
                _untitled(inner)
