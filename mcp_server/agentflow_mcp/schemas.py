"""The JSON Schemas of what tools give back: a result, a handle of a run that goes on, or an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agentflow.data import is_array, is_object

Schema = Mapping[str, Any]

ERROR: Final[Schema] = {
    "type": "object",
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "step": {"type": "string"},
        "why": {"type": "string"},
        "hint": {"type": "string"},
    },
    "required": ["code", "message"],
}
WAIT: Final[Schema] = {
    "type": "object",
    "properties": {
        "task_id": {"type": "string", "description": "What resume_workflow takes to answer it."},
        "run_task_id": {"type": "string"},
        "workflow": {"type": "string"},
        "step": {"type": "string"},
        "kind": {
            "type": "string",
            "description": "event: comes from elsewhere; auth: somebody signs in; others: answered",
        },
        "message": {"type": "string"},
        "schema": {"description": "JSON Schema of the answer."},
        "human_only": {"type": "boolean", "description": "Only a person may answer it, not a model."},
        "url": {"type": "string", "description": "Where a person answers it, or signs in."},
        "default": {"description": "The answer that is taken when nobody gives one in time."},
        "details": {"type": "object"},
        "expires_at": {"type": "string"},
    },
    "required": ["task_id", "step", "kind", "message"],
}
STATUS: Final[Schema] = {"enum": ["working", "input_required", "completed", "failed", "cancelled"]}
_RUN: Final[Mapping[str, Any]] = {
    "task_id": {"type": "string"},
    "workflow": {"type": "string"},
    "status": STATUS,
    "message": {"type": "string"},
    "waiting_for": {"type": "array", "items": WAIT},
    "next": {"type": "string", "description": "What to do now."},
    "missing": {
        "type": "array",
        "items": {"type": "object"},
        "description": "All skills and connections that its steps need and that aren't there, with what helps.",
    },
    "answers": {
        "type": "array",
        "items": {"type": "object"},
        "description": "Who has answered what it waited for, when and by which door.",
    },
    "output": {},
    "error": ERROR,
    "created_at": {"type": "string"},
    "ended_at": {"type": "string"},
}
RUN: Final[Schema] = {"type": "object", "properties": _RUN}
"""A run, or why it can't be told: clients also check errors by a tool's schema, so that nothing is required."""
RUNS: Final[Schema] = {
    "type": "object",
    "properties": {
        "runs": {"type": "array", "items": RUN},
        "next": {"type": "string"},
        "error": ERROR,
    },
}
WAITS: Final[Schema] = {
    "type": "object",
    "properties": {
        "waiting_for": {"type": "array", "items": WAIT},
        "next": {"type": "string"},
        "error": ERROR,
    },
}
HANDLE: Final[Schema] = {
    "type": "object",
    "description": "The run goes on, or waits for an answer.",
    "properties": {name: _RUN[name] for name in ("task_id", "workflow", "status", "message", "waiting_for", "next")},
    "required": ["task_id", "status", "next"],
}
FAILED: Final[Schema] = {
    "type": "object",
    "description": "Why the run failed, or was not started.",
    "properties": {name: _RUN[name] for name in ("task_id", "workflow", "status", "error")},
    "required": ["error"],
}
RESULT: Final = "result"
"""Key of an output that is no object: what tools give back always is one."""


def result_schema(output: Schema | None) -> Schema | None:
    """Return the schema of what a workflow's tool gives back; None where there is none that clients could check by.

    Args:
        output: schema of the workflow's output.
    """
    if output is None:
        return None
    if any(not ref.startswith("#/$defs/") for ref in _references(output)):
        return None  # it names places that are elsewhere once it stands inside of another schema
    kinds = output.get("type")
    kinds = set(kinds) if is_array(kinds) else {kinds} if isinstance(kinds, str) else None
    inner = {name: value for name, value in output.items() if name not in ("$schema", "$id", "$defs")}
    shapes: list[Schema] = []
    if kinds is None or "object" in kinds:
        shapes.append(inner)
    if kinds is None or kinds != {"object"}:
        shapes.append({"type": "object", "properties": {RESULT: inner}, "required": [RESULT]})
    whole: dict[str, Any] = {"type": "object", "anyOf": [*shapes, HANDLE, FAILED]}
    return {**whole, "$defs": output["$defs"]} if "$defs" in output else whole


def _references(value: Any) -> Iterator[str]:
    """Yield what a schema refers to, wherever in it."""
    rest: list[Any] = [value]
    while rest:
        one = rest.pop()
        if is_object(one):
            yield from (str(one[name]) for name in ("$ref", "$dynamicRef") if name in one)
            rest += one.values()
        elif is_array(one):
            rest += one


def input_schema(given: Schema | None) -> tuple[Schema, bool]:
    """Return the schema of a tool's arguments, and whether the workflow's input is one argument among them.

    Arguments are an object. An input that is none is given as `input`.
    """
    if given is None:
        return {"type": "object"}, False
    kind = given.get("type", "object")
    if kind == "object":
        return ({**given, "type": "object"} if "type" not in given else given), False
    if is_array(kind) and "object" in kind:
        return {**given, "type": "object"}, False
    inner = {name: value for name, value in given.items() if name not in ("$schema", "$defs")}
    whole: dict[str, Any] = {"type": "object", "properties": {"input": inner}, "required": ["input"]}
    return ({**whole, "$defs": given["$defs"]} if "$defs" in given else whole), True
