"""The JSON Schema of the whole file."""

from __future__ import annotations

from collections.abc import Iterable

from agentflow.definition.config_file import ConfigFile
from agentflow.definition.schema.drafts import SCHEMAS, Draft, draft7
from agentflow.definition.schema.models import Schema, model_schema, told
from agentflow.definition.schema.parts import (
    connection_schema,
    schemas,
    skills_schema,
    trigger_schema,
    widen_retry,
    workflow_schema,
)
from agentflow.definition.schema.steps import step_schema, widen_tools
from agentflow.definition.types import StepTypeLike


def config_schema(types: Iterable[StepTypeLike], *, draft: Draft = "2020-12") -> Schema:
    """Return the JSON Schema of the config file.

    Args:
        types: the step types that may be used; each gets a branch of its own.
        draft: many editors know draft 7 only.
    """
    defs: dict[str, Schema] = {}
    root = model_schema(ConfigFile, defs)
    defs["Workflow"] = workflow_schema(defs)
    defs["Trigger"] = trigger_schema(defs)
    defs["ConnectionEntry"] = connection_schema(defs)
    defs["Step"] = step_schema(sorted(types, key=lambda spec: spec.name), defs)
    schemas(defs)
    widen_retry(defs)
    widen_tools(defs)
    properties: Schema = root["properties"]
    properties["skills"] = skills_schema(properties["skills"], defs)
    one: Schema = {"$ref": "#/$defs/Workflow"}
    properties["workflows"] = {
        **told(properties["workflows"]),
        "if": {"type": "array"},
        "then": {"items": {"allOf": [one, {"required": ["id"]}]}},
        "else": {"type": "object", "additionalProperties": one},
    }
    root["title"] = "agentflow.yaml"
    defs["ConfigFile"] = root
    schema: Schema = {
        "$schema": SCHEMAS[draft],
        "title": "agentflow.yaml",
        "if": {"type": "object", "required": ["steps"], "not": {"required": ["workflows"]}},
        "then": one,  # a file of one workflow
        "else": {"$ref": "#/$defs/ConfigFile"},
        "$defs": defs,
    }
    return draft7(schema) if draft == "draft-07" else schema
