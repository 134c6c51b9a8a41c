"""JSON Schema of a step: the fields that all have, and those of its type."""

from __future__ import annotations

from collections.abc import Iterable

from agentflow.definition.models import Step
from agentflow.definition.schema.models import Schema, by_type, model_schema, own_fields, told
from agentflow.definition.step_fields import CONTAINER_ONLY, HOOKS
from agentflow.definition.types import BodyLike, StepTypeLike

_STEP: Schema = {"$ref": "#/$defs/Step"}
_LISTED: Schema = {"allOf": [_STEP, {"required": ["id"]}]}
_LIST: Schema = {"type": "array", "items": _LISTED}
STEPS: Schema = {"if": {"type": "array"}, "then": _LIST, "else": {"type": "object", **_LISTED}}
"""A list of steps, or one of them."""
_BODY: Schema = {"if": {"type": "array"}, "then": _LIST, "else": {"type": "object", "allOf": [_STEP]}}
"""The same where one step needs no id."""
_INSIDE = {
    "steps": "The steps inside, in order.",
    "cases": "The cases, in order: the steps of the first whose `when` is true run.",
    "default": "Steps for when no case is true.",
    "if_true": "Steps for when the expression is true.",
    "if_false": "Steps for when it isn't.",
    "body": "The step that is repeated, or several.",
}
"""What is said of fields that hold steps."""
_EXAMPLE = {"id": "hello", "type": "set", "value": "Hello {input.name}"}


def step_schema(types: Iterable[StepTypeLike], defs: dict[str, Schema]) -> Schema:
    """Return the schema of a step: the common fields, and a branch for each type's own."""
    schema = model_schema(Step, defs)
    common: Schema = {name: field for name, field in schema["properties"].items() if name not in ("config", "bodies")}
    _widen(common, defs)
    containers = {name: common.pop(name) for name in (*sorted(CONTAINER_ONLY), "max_parallel")}
    found = {spec.name: spec for spec in types}
    kinds = {name: spec.summary for name, spec in found.items()}
    branches = {name: _branch(spec, containers, defs) for name, spec in found.items()}
    return {
        "title": "step",
        "description": "One step.",
        **by_type(kinds, branches, {**common, "type": {"description": "What the step does.", "examples": ["script"]}}),
    }


def _branch(spec: StepTypeLike, containers: Schema, defs: dict[str, Schema]) -> Schema:
    own, needed = own_fields(spec.config, defs, f"{spec.name}.")
    bodies = {body.name: body for body in spec.bodies}
    required = [name for name in needed if name not in bodies]
    required += [body.name for body in spec.bodies if body.required]
    own |= {name: _held(body) for name, body in bodies.items()}
    if bodies:
        return {"properties": {**own, **containers}, "required": required}
    limit: Schema = {"type": "object", "required": ["for_each"]}
    then: Schema = {"properties": {"max_parallel": containers["max_parallel"]}}
    parallel: Schema = {"if": limit, "then": then, "else": {"properties": {"max_parallel": False}}}
    return {"properties": {**own, "max_parallel": True}, "required": required, "allOf": [parallel]}


def _held(body: BodyLike) -> Schema:
    """Return the schema of a field that holds steps."""
    words: Schema = {"description": _INSIDE.get(body.name, "Steps inside.")}
    if body.shape == "steps":
        return {**words, "examples": [[_EXAMPLE], _EXAMPLE], **STEPS}
    if body.shape == "step_or_steps":
        return {**words, "examples": [{"type": "set", "value": 1}], **_BODY}
    when: Schema = {
        "description": "Condition of the case.",
        "examples": ['{input.kind} == "new"'],
        "type": ["string", "boolean"],
    }
    inside: Schema = {"description": "What the case runs.", "examples": [{"type": "set", "value": 1}], **_BODY}
    case: Schema = {
        "title": "case",
        "type": "object",
        "properties": {"when": when, "steps": inside},
        "required": ["when", "steps"],
        "additionalProperties": False,
    }
    return {
        **words,
        "examples": [[{"when": True, "steps": {"type": "set", "value": 1}}]],
        "type": "array",
        "items": case,
    }


def _widen(properties: Schema, defs: dict[str, Schema]) -> None:
    """Let the common fields take what the parser takes: short forms and templates."""
    skill: Schema = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Requirement"}]}
    widened: dict[str, Schema] = {
        "retry": RETRY,
        "requires": {"anyOf": [*skill["anyOf"], {"type": "array", "items": skill}]},
        "for_each": {"anyOf": [{"$ref": "#/$defs/ForEachField"}, {"type": "string"}, {"type": "array"}]},
        "approve": _gate("Approve"),
        "review": _gate("Review"),
        "compensate": _BODY,
        **dict.fromkeys(HOOKS, STEPS),
    }
    _widen_edit(defs["Approve"])
    for name, field in widened.items():
        properties[name] = {**told(properties[name]), **field}


def widen_tools(defs: dict[str, Schema]) -> None:
    """Let the approval of a tool take its short forms, as that of a step."""
    properties: Schema = defs["ToolEntry"]["properties"]
    properties["approve"] = {**told(properties["approve"]), **_gate("ApproveCall")}
    _widen_edit(defs["ApproveCall"])


def _widen_edit(gate: Schema) -> None:
    edit: Schema = gate["properties"]["edit"]
    edit.pop("additionalProperties")
    edit["anyOf"] = [
        {"type": edit.pop("type"), "additionalProperties": {"$ref": "#/$defs/Input"}},
        {"type": "array", "items": {"type": "string"}},
    ]


def _gate(name: str) -> Schema:
    return {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "boolean"}, {"type": "string"}]}


RETRY: Schema = {"anyOf": [{"$ref": "#/$defs/RetryPolicy"}, {"type": "integer", "minimum": 1}, {"type": "boolean"}]}
"""A retry policy, or its short form."""
