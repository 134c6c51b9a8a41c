"""JSON Schema of what stands around the steps: workflows, triggers, connections, skills, schemas."""

from __future__ import annotations

from typing import Final

from agentflow.definition.connection_fields import OF_TYPES, ConnectionEntry
from agentflow.definition.models import Workflow
from agentflow.definition.schema.models import Schema, by_type, model_schema, read_before, told
from agentflow.definition.schema.steps import RETRY, STEPS
from agentflow.definition.short_schema import TYPES
from agentflow.definition.skill_limits import LIMITS
from agentflow.definition.step_fields import HOOKS
from agentflow.definition.triggers import KINDS

TRIGGERS: Schema = {"type": "array", "items": {"$ref": "#/$defs/Trigger"}}
KEYWORDS = {
    "type": ("The value's type.", ["string"]),
    "title": ("Name for people; forms show it.", ["Amount"]),
    "description": ("What it is, for people and agents.", ["In euros"]),
    "default": ("Value where none is given; what has one isn't required.", [3]),
    "examples": ("Values that fit.", [["emea"]]),
    "enum": ("The values that it may have.", [["emea", "apac"]]),
    "const": ("The one value that it may have.", ["emea"]),
    "format": ("What the text is.", ["date", "email", "uri"]),
    "pattern": ("Regular expression that the text has to match.", ["^[A-Z]-[0-9]+$"]),
    "minLength": ("Fewest characters.", [1]),
    "maxLength": ("Most characters.", [200]),
    "minimum": ("Least number.", [0]),
    "maximum": ("Greatest number.", [1000]),
    "exclusiveMinimum": ("Number that it has to be above.", [0]),
    "exclusiveMaximum": ("Number that it has to be below.", [100]),
    "multipleOf": ("Number that it is a multiple of.", [0.01]),
    "items": ("JSON Schema of a list's items.", [{"type": "string"}]),
    "minItems": ("Fewest items.", [1]),
    "maxItems": ("Most items.", [10]),
    "uniqueItems": ("No item comes twice.", [True]),
    "properties": ("Fields of an object: name → JSON Schema.", [{"city": {"type": "string"}}]),
    "required": ("Fields that an object has to have.", [["city"]]),
    "additionalProperties": ("JSON Schema of further fields; `false`: there are none.", [False]),
    "oneOf": ("JSON Schemas of which exactly one has to fit.", [[{"const": "a", "title": "First"}]]),
    "anyOf": ("JSON Schemas of which one has to fit.", [[{"type": "string"}, {"type": "number"}]]),
}
"""Keyword of JSON Schema → what it says, and examples."""


def schemas(defs: dict[str, Schema]) -> None:
    """Add the schemas of schemas: the short form of inputs, one input, and JSON Schema itself."""
    words: Schema = {name: {"description": said, "examples": shown} for name, (said, shown) in KEYWORDS.items()}
    kinds = [*TYPES, *(f"{kind}?" for kind in TYPES)]
    named: Schema = {"anyOf": [{"enum": kinds}, {"type": "string", "pattern": rf"^({'|'.join(TYPES)})\s*\?*\s*$"}]}
    json_types: Schema = {"enum": [kind for kind in TYPES if kind not in ("any", "file")]}
    several: Schema = {"type": "array", "items": json_types}
    typed: Schema = {"type": {**words["type"], "anyOf": [json_types, several]}}
    defs["InputType"] = {
        "title": "input",
        "type": "object",
        "properties": {**words, "type": {**words["type"], "anyOf": [*named["anyOf"], several]}},
    }
    defs["Input"] = {"anyOf": [*named["anyOf"], {"$ref": "#/$defs/InputType"}]}
    whole: Schema = {
        "type": "object",
        "properties": {"type": {"const": "object"}, "properties": {"type": "object"}},
        "required": ["type", "properties"],
    }
    defs["Inputs"] = {
        "if": whole,
        "then": {"type": "object", "properties": {**words, **typed}},
        "else": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Input"}},
    }
    other: Schema = {"anyOf": [*named["anyOf"], {"$ref": "#/$defs/InputType"}, {}]}  # its short form, or any other word
    defs["JsonSchema"] = {
        "type": "object",
        "properties": {**words, "type": words["type"]},
        "additionalProperties": other,
    }


def workflow_schema(defs: dict[str, Schema]) -> Schema:
    """Return the schema of a workflow."""
    schema = model_schema(Workflow, defs)
    properties: Schema = schema["properties"]
    properties.pop("dialect", None)
    for name in ("steps", *HOOKS):
        properties[name] = {**told(properties[name]), **STEPS}
    properties["triggers"] = {**told(properties["triggers"]), **TRIGGERS}
    properties["input"] = {
        "description": "Short form of `input_schema`: names with their types. Required, unless the type ends in `?` or "
        "there is a default.",
        "examples": [{"url": "string", "count": {"type": "integer", "default": 3}}],
        "$ref": "#/$defs/Inputs",
    }
    properties["mcp"] = {**told(properties["mcp"]), "anyOf": [{"$ref": "#/$defs/McpSettings"}, {"type": "boolean"}]}
    keys: Schema = {"type": "object", "additionalProperties": {"$ref": "#/$defs/SharedKey"}}
    names: Schema = {"type": "array", "items": {"type": "string"}}
    properties["context"] = {**told(properties["context"]), "anyOf": [keys, names]}
    entry: Schema = defs["EntryPoint"]["properties"]
    entry["triggers"] = {**told(entry["triggers"]), **TRIGGERS}
    schema["required"] = ["steps"]
    return schema


def trigger_schema(defs: dict[str, Schema]) -> Schema:
    """Return the schema of a trigger: each type has fields of its own."""
    branches = {name: model_schema(kind, defs, f"trigger.{name}.") for name, kind in KINDS.items()}
    kinds = {name: branch.get("description", "") for name, branch in branches.items()}
    for name, kind in KINDS.items():
        fields: Schema = branches[name]["properties"]
        fields["type"] = True
        for field in read_before(kind):
            inner = {key: value for key, value in fields[field].items() if key not in told(fields[field])}
            fields[field] = {**told(fields[field]), "anyOf": [inner, {"type": "string"}]}
    said: Schema = {"description": "What starts a run.", "examples": ["webhook"]}
    return {"title": "trigger", "description": "What starts a run.", **by_type(kinds, branches, {"type": said})}


def connection_schema(defs: dict[str, Schema]) -> Schema:
    """Return the schema of a connection: each type has fields of its own."""
    schema = model_schema(ConnectionEntry, defs)
    fields: Schema = schema["properties"]
    common = {name: fields[name] for name in ("type", "hosts")}
    branches = {
        name: {"properties": {field: fields[field] for field in fields if field in own}}
        for name, own in OF_TYPES.items()
    }
    words = {
        "oauth2": "OAuth 2.1: people sign in, or the client does.",
        "bearer": "A token, sent as `Authorization: Bearer …`.",
        "api_key": "A key in a header, or in the query.",
        "basic": "User and password.",
        "hmac": "Requests are signed by a shared secret.",
    }
    common["type"] = told(common["type"])
    return {
        "title": "connection",
        "description": schema.get("description", ""),
        **by_type(words, branches, common, default="oauth2"),
    }


def skills_schema(said: Schema, defs: dict[str, Schema]) -> Schema:
    """Return the schema of the skills that a config grants: a list, or a mapping with their limits."""
    granted: Schema = {}
    for name, model in LIMITS.items():
        defs[model.__name__] = model_schema(model, defs)
        fields: Schema = defs[model.__name__].get("properties", {})
        for field in fields:
            if field in read_before(model):
                inner = {key: value for key, value in fields[field].items() if key not in told(fields[field])}
                fields[field] = {**told(fields[field]), "anyOf": [inner, {"type": "string"}]}
        granted[name] = {
            "description": (model.__doc__ or "").strip(),
            "anyOf": [{"$ref": f"#/$defs/{model.__name__}"}, {"type": "boolean"}, {"type": "null"}],
            "examples": [{name: [shown] for name, shown in _LIMITED.items() if name in fields}],
        }
    listed: Schema = {"type": "array", "items": {"enum": list(LIMITS)}}
    mapping: Schema = {"type": "object", "properties": granted, "additionalProperties": False}
    return {**told(said), "if": {"type": "array"}, "then": listed, "else": mapping}


_LIMITED: Final = {"programs": "git", "allow": "api.example.com", "modules": "steps", "roots": "data"}


def widen_retry(defs: dict[str, Schema]) -> None:
    """Let the retry policy of defaults have its short form."""
    fields: Schema = defs["Defaults"]["properties"]
    fields["retry"] = {**told(fields["retry"]), "anyOf": [*RETRY["anyOf"], {"type": "null"}]}
