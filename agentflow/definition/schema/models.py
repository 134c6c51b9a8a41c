"""From a model to its JSON Schema: described, with examples, and as loose as the loader reads it."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, BeforeValidator

from agentflow.data import is_array, is_object
from agentflow.definition.described import described
from agentflow.definition.field_names import written
from agentflow.definition.schema.examples import examples_of

Schema = dict[str, Any]
TEMPLATE: Schema = {"type": "string", "pattern": r"\{"}
_OURS = ("Step", "Body", "Trigger")
"""Definitions that are written by hand."""
_ENDINGS = re.compile(r"(Entry|Section|Settings|Field|Policy|Config)$")


def model_schema(model: type[BaseModel], defs: dict[str, Schema], prefix: str = "") -> Schema:
    """Return a model's schema, its definitions moved to `defs` under a prefix."""
    schema = described(model).model_json_schema(by_alias=True)
    inner: Mapping[str, Schema] = schema.pop("$defs", {})
    if "properties" not in schema and "$ref" in schema:  # a model that refers to itself
        schema = dict(inner[schema["$ref"].rpartition("/")[2]])
    for name, definition in inner.items():
        if name not in _OURS:
            defs[prefix + name] = _finished(definition, name, prefix, inner)
    result = _finished(schema, model.__name__, prefix, inner)
    result.pop("title", None)
    return result


def _finished(schema: Schema, name: str, prefix: str, inner: Mapping[str, Schema]) -> Schema:
    result = _renamed(schema, prefix)
    for field, given in _properties(result).items():
        whole = inner.get(str(given.get("$ref")).rpartition("/")[2].removeprefix(prefix))
        if whole is not None:
            given.setdefault("description", whole.get("description", ""))  # pydantic leaves out what both say
        given.update(_schemas(given))
        if ("default" in given and given["default"] in (None, [], ())) or is_object(given.get("default")):
            del given["default"]  # nothing, and what stands at the fields themselves: editors would write it out
        if examples := examples_of(name, field, given):
            given["examples"] = examples
    words = re.findall(r"[A-Z][a-z]*", _ENDINGS.sub("", name))
    if words:  # what editors call it
        result["title"] = " ".join(words).lower()
    return result


_ANY_OBJECT: Schema = {"additionalProperties": True, "type": "object"}


def _schemas(field: Schema) -> Schema:
    """Return what a field that holds a JSON Schema is checked by: editors complete keywords in it."""
    if not str(field.get("description")).startswith("JSON Schema"):
        return {}
    whole: Schema = {"$ref": "#/$defs/JsonSchema"}
    return {"anyOf": [whole if one == _ANY_OBJECT else one for one in field.get("anyOf", ())]}


def _properties(schema: Schema) -> dict[str, Schema]:
    return schema.get("properties", {})


def _renamed(value: Any, prefix: str) -> Any:
    """Point references to the prefixed definitions, and drop titles that only repeat names."""
    if is_array(value):
        return [_renamed(item, prefix) for item in value]
    if not is_object(value):
        return value
    result: Schema = {}
    for name, item in value.items():
        if name == "$ref" and isinstance(item, str):
            own = item.rpartition("/")[2]
            result[name] = item if own in _OURS else f"#/$defs/{prefix}{own}"
        elif name == "properties" and is_object(item):
            result[name] = {field: _renamed(schema, prefix) for field, schema in item.items()}
        elif name == "description" and isinstance(item, str):
            result[name] = inspect.cleandoc(item)
        elif name != "discriminator" and not (name == "title" and isinstance(item, str)):
            result[name] = _renamed(item, prefix)
    return result


def told(field: Schema) -> Schema:
    """Return what a field's schema says for people, without what it checks."""
    return {name: field[name] for name in ("description", "default", "examples") if name in field}


def own_fields(model: type[BaseModel], defs: dict[str, Schema], prefix: str) -> tuple[dict[str, Schema], list[str]]:
    """Return the fields of a step type's model, and which are required."""
    schema = model_schema(model, defs, prefix)
    before = read_before(model)
    fields = {name: _loose(field, name in before) for name, field in _properties(schema).items()}
    return fields, schema.get("required", [])


def _loose(field: Schema, any_scalar: bool) -> Schema:
    """Let a template stand where another type than text is wanted, and numbers where text is."""
    outer = told(field)
    inner = _loosened({name: value for name, value in field.items() if name not in outer})
    if not inner:
        return outer
    if any_scalar:
        return {**outer, "anyOf": [inner, {"type": ["string", "number"]}]}
    if is_array(inner.get("type")) and "string" in inner["type"]:
        return {**outer, **inner}
    return {**outer, "anyOf": [inner, TEMPLATE]}


def _loosened(schema: Any) -> Any:
    """Let scalars stand where text is wanted, at any depth: they are written as text."""
    if not is_object(schema):
        return schema
    result: Schema = dict(schema)
    if schema.get("type") == "string" and "enum" not in schema and "const" not in schema:
        result["type"] = ["string", "number", "boolean", "null"]
    for name in ("items", "additionalProperties"):
        if name in schema:
            result[name] = _loosened(schema[name])
    if is_array(schema.get("anyOf")):
        result["anyOf"] = [_loosened(item) for item in schema["anyOf"]]
    return result


def read_before(model: type[BaseModel]) -> set[str]:
    """Return the fields whose text is read by a validator first: their own schema says only what comes out."""
    decorators = model.__pydantic_decorators__.field_validators.values()
    found = {name for one in decorators if one.info.mode == "before" for name in one.info.fields}
    for name, info in model.model_fields.items():
        if any(isinstance(entry, BeforeValidator) for entry in (*info.metadata, *_metadata(info.annotation))):
            found.add(name)
    return {written(name, model.model_fields[name]) for name in found if name in model.model_fields}


def _metadata(annotation: Any) -> list[Any]:
    inner = [found for argument in typing.get_args(annotation) for found in _metadata(argument)]
    return [*getattr(annotation, "__metadata__", ()), *inner]


def by_type(kinds: Mapping[str, str], branches: Mapping[str, Schema], common: Schema, *, default: str = "") -> Schema:
    """Return the schema of an object whose `type` says which fields it has besides the common ones.

    Args:
        kinds: type → what it is, in one line.
        branches: type → `properties` and `required` of its own.
        common: `properties` of all types.
        default: the type of an object that names none.
    """
    choices = [{"const": kind, "description": summary} for kind, summary in kinds.items()]
    properties = {"type": {**common.get("type", {}), "anyOf": choices}}
    properties |= {name: field for name, field in common.items() if name != "type"}
    schema: Schema = {"type": "object", "properties": properties, "allOf": []}
    if not default:
        schema["required"] = ["type"]
    for kind, branch in branches.items():
        test: Schema = {"type": "object", "properties": {"type": {"const": kind}}}
        if kind != default:
            test["required"] = ["type"]
        fields = {**dict.fromkeys(properties, True), **branch["properties"]}
        then: Schema = {"properties": fields, "additionalProperties": False}
        if branch.get("required"):
            then["required"] = branch["required"]
        if branch.get("allOf"):
            then["allOf"] = branch["allOf"]
        schema["allOf"].append({"if": test, "then": then})
    return schema
