"""JSON Schema of the config file, made from the models: editors complete and check with it."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, BeforeValidator

from agentflow.data import is_array, is_object
from agentflow.definition.config_file import ConfigFile
from agentflow.definition.field_names import written
from agentflow.definition.models import Step, Workflow
from agentflow.definition.step_fields import COMMON, CONTAINER_ONLY, HOOKS
from agentflow.definition.triggers import KINDS
from agentflow.definition.types import StepTypeLike

Draft = Literal["2020-12", "draft-07"]
Schema = dict[str, Any]

_SCHEMAS = {
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft-07": "http://json-schema.org/draft-07/schema#",
}
_TEMPLATE: Schema = {"type": "string", "pattern": r"\{"}
_STEP = {"$ref": "#/$defs/Step"}
_LISTED = {"allOf": [_STEP, {"required": ["id"]}]}
_STEPS: Schema = {"if": {"type": "array"}, "then": {"items": _LISTED}, "else": _LISTED}
_BODY: Schema = {"if": {"type": "array"}, "then": {"items": _LISTED}, "else": _STEP}  # errors stay where they are
_TRIGGERS: Schema = {"type": "array", "items": {"$ref": "#/$defs/Trigger"}}


def config_schema(types: Iterable[StepTypeLike], *, draft: Draft = "2020-12") -> Schema:
    """Return the JSON Schema of the config file.

    Args:
        types: the step types that may be used; each gets a branch of its own.
        draft: many editors know draft 7 only.
    """
    defs: dict[str, Schema] = {}
    root = _model(ConfigFile, defs)
    defs["Workflow"] = _workflow(defs)
    defs["Trigger"] = {"anyOf": [_trigger(name, kind, defs) for name, kind in KINDS.items()]}
    _step(sorted(types, key=lambda spec: spec.name), defs)
    one = {"$ref": "#/$defs/Workflow"}
    root["properties"]["workflows"] = {
        "description": root["properties"]["workflows"].get("description", ""),
        "if": {"type": "array"},
        "then": {"items": {"allOf": [one, {"required": ["id"]}]}},
        "else": {"type": "object", "additionalProperties": one},
    }
    _widen_defaults(root["properties"])
    _widen_defaults(defs["Workflow"]["properties"])
    schema: Schema = {"$schema": _SCHEMAS[draft], "title": "agentflow.yaml", **root, "$defs": defs}
    return _draft7(schema) if draft == "draft-07" else schema


def _model(model: type[BaseModel], defs: dict[str, Schema], prefix: str = "") -> Schema:
    """Return a model's schema, its definitions moved to `defs` under a prefix."""
    schema = model.model_json_schema(by_alias=True)
    inner: Mapping[str, Schema] = schema.pop("$defs", {})
    if "properties" not in schema and "$ref" in schema:  # a model that refers to itself
        schema = dict(inner[schema["$ref"].rpartition("/")[2]])
    for name, definition in inner.items():
        if name not in ("Step", "Body", "Trigger"):
            defs[prefix + name] = _renamed(definition, prefix)
    schema.pop("title", None)
    return _renamed(schema, prefix)


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
            result[name] = item if own in ("Step", "Body", "Trigger") else f"#/$defs/{prefix}{own}"
        elif name == "properties" and is_object(item):
            result[name] = {field: _renamed(schema, prefix) for field, schema in item.items()}
        elif not (name == "title" and isinstance(item, str)):
            result[name] = _renamed(item, prefix)
    return result


def _workflow(defs: dict[str, Schema]) -> Schema:
    schema = _model(Workflow, defs)
    properties: Schema = schema["properties"]
    properties.pop("dialect", None)
    for name in ("steps", *HOOKS):
        properties[name] = {**_described(properties[name]), **_STEPS}
    properties["triggers"] = {**_described(properties["triggers"]), **_TRIGGERS}
    properties["input"] = {
        "description": "Short form of `input_schema`: names with their types. Required, unless the type ends in `?` or "
        "there is a default.",
        "type": "object",
        "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "object"}]},
    }
    properties["mcp"] = {**_described(properties["mcp"]), "anyOf": [properties["mcp"], {"type": "boolean"}]}
    properties["context"] = {
        **_described(properties["context"]),
        "anyOf": [
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/SharedKey"}},
            {"type": "array", "items": {"type": "string"}},
        ],
    }
    defs["EntryPoint"]["properties"]["triggers"] = _TRIGGERS
    schema["required"] = ["steps"]
    return schema


def _trigger(name: str, kind: type[BaseModel], defs: dict[str, Schema]) -> Schema:
    schema = _model(kind, defs, f"trigger.{name}.")
    for field in _read_before(kind):
        inner = schema["properties"][field]
        schema["properties"][field] = {**_described(inner), "anyOf": [inner, {"type": "string"}]}
    return schema


def _step(types: list[StepTypeLike], defs: dict[str, Schema]) -> None:
    """Add the schema of a step: the common fields, and a branch for each type's own."""
    schema = _model(Step, defs)
    properties: Schema = {
        name: field for name, field in schema["properties"].items() if name not in ("config", "bodies")
    }
    _widen_common(properties)
    edit: Schema = defs["Approve"]["properties"]["edit"]
    edit["additionalProperties"] = {"anyOf": [edit["additionalProperties"], {"type": "string"}]}
    branches = [_branch(spec, defs) for spec in types]
    properties["type"] = {
        "description": "What the step does.",
        "anyOf": [{"const": spec.name, "description": spec.summary} for spec in types],
    }
    defs["Step"] = {
        "description": "One step.",
        "type": "object",
        "properties": properties,
        "required": ["type"],
        "allOf": branches,
    }


def _widen_common(properties: Schema) -> None:
    """Let the common fields take what the parser takes: short forms and templates."""
    skill = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Requirement"}]}
    widened: dict[str, Schema] = {
        "retry": _retry(),
        "requires": {"anyOf": [*skill["anyOf"], {"type": "array", "items": skill}]},
        "for_each": {"anyOf": [{"$ref": "#/$defs/ForEachField"}, {"type": "string"}, {"type": "array"}]},
        "approve": _gate("Approve"),
        "review": _gate("Review"),
        "compensate": _BODY,
        **dict.fromkeys(HOOKS, _STEPS),
    }
    for name, field in widened.items():
        properties[name] = {**_described(properties[name]), **field}


def _gate(name: str) -> Schema:
    return {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "boolean"}, {"type": "string"}]}


def _retry() -> Schema:
    return {"anyOf": [{"$ref": "#/$defs/RetryPolicy"}, {"type": "integer", "minimum": 1}, {"type": "boolean"}]}


def _widen_defaults(properties: Schema) -> None:
    """`defaults.retry` has the short form too."""
    defaults = properties["defaults"]
    properties["defaults"] = {
        "description": defaults.get("description", ""),
        "anyOf": [{"$ref": "#/$defs/Defaults"}, {"type": "object", "properties": {"retry": _retry()}}],
    }


def _branch(spec: StepTypeLike, defs: dict[str, Schema]) -> Schema:
    config = _model(spec.config, defs, f"{spec.name}.")
    before = _read_before(spec.config)
    own: Schema = {name: _loose(field, name in before) for name, field in config.get("properties", {}).items()}
    required = [name for name in config.get("required", []) if name not in {body.name for body in spec.bodies}]
    for body in spec.bodies:
        own[body.name] = _body(body.shape)
        if body.required:
            required.append(body.name)
    common = [name for name in COMMON if spec.bodies or name not in CONTAINER_ONLY]
    then: Schema = {"properties": own, "propertyNames": {"enum": ["id", "type", *common, *own]}}
    if required:
        then["required"] = required
    return {"if": {"properties": {"type": {"const": spec.name}}, "required": ["type"]}, "then": then}


def _body(shape: str) -> Schema:
    if shape == "steps":
        return _STEPS
    if shape == "step_or_steps":
        return _BODY
    case = {
        "type": "object",
        "properties": {"when": {"type": ["string", "boolean"]}, "steps": _BODY},
        "required": ["when", "steps"],
        "additionalProperties": False,
    }
    return {"type": "array", "items": case}


def _loose(field: Schema, any_scalar: bool) -> Schema:
    """Let a template stand where another type than text is wanted, and numbers where text is."""
    outer = _described(field)
    if "default" in field:
        outer["default"] = field["default"]
    inner = _loosened({name: value for name, value in field.items() if name not in outer})
    if not inner:
        return outer
    if any_scalar:
        return {**outer, "anyOf": [inner, {"type": ["string", "number"]}]}
    if is_array(inner.get("type")) and "string" in inner["type"]:
        return {**outer, **inner}
    return {**outer, "anyOf": [inner, _TEMPLATE]}


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


def _read_before(model: type[BaseModel]) -> set[str]:
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


def _described(field: Schema) -> Schema:
    return {"description": field["description"]} if "description" in field else {}


def _draft7(schema: Any) -> Any:
    if is_array(schema):
        return [_draft7(item) for item in schema]
    if not is_object(schema):
        return schema.replace("#/$defs/", "#/definitions/") if isinstance(schema, str) else schema
    result: Schema = {}
    for name, value in schema.items():
        if name == "prefixItems":
            result["items"] = _draft7(value)
        elif name == "$ref" and len(schema) > 1:
            result["allOf"] = [{"$ref": _draft7(value)}]  # draft 7 ignores what stands beside a $ref
        else:
            result["definitions" if name == "$defs" else name] = _draft7(value)
    return result
