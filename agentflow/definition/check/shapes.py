"""What is known of a step's result before it runs: a JSON Schema, or None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition.check.info import EnvInfo
from agentflow.definition.models import Body, Step

Schema = dict[str, Any]


def _closed(*keys: str) -> Schema:
    return {"type": "object", "properties": {key: {} for key in keys}, "additionalProperties": False}


_FIXED: dict[str, Schema] = {
    "api_call": {
        **_closed("status", "headers", "body"),
        "properties": {"status": {"type": "integer"}, "headers": {"type": "object"}, "body": {}},
    },
    "delay": _closed(),
    "publish": {**_closed("delivered"), "properties": {"delivered": {"type": "integer"}}},
    "checkpoint": {**_closed("message"), "properties": {"message": {"type": "string"}}},
    "artifact": {**_closed("artifact_id"), "properties": {"artifact_id": {"type": "string"}}},
}


def result_schema(step: Step, env: EnvInfo, *, each: bool = True) -> Schema | None:
    """Return a schema of a step's result.

    Args:
        step: the step.
        env: knows the output schemas of other workflows.
        each: False: the result of one item where the step has `for_each`.
    """
    if each and step.for_each is not None:
        return {"type": "array"}
    if step.on_error == "continue" and step.type not in _FIXED:
        return None
    if step.type in _FIXED:
        return _FIXED[step.type]
    make = _BY_TYPE.get(step.type)
    return make(step, env) if make else None


def _wait(step: Step, env: EnvInfo) -> Schema | None:
    schema = step.config.get("schema")
    return schema if is_object(schema) else None


def _call(step: Step, env: EnvInfo) -> Schema | None:
    target = (env.workflows or {}).get(str(step.config.get("workflow")))
    return target.output_schema if target else None


def _group(step: Step, env: EnvInfo) -> Schema | None:
    body = step.bodies.get("steps")
    return _map(body) if body and not _ends(step) else None


def _ends(container: Step) -> bool:
    """Tell whether an `end` inside may replace the container's result."""
    stack = [child for body in container.bodies.values() for child in body.steps]
    while stack:
        step = stack.pop()
        if step.type == "end" and step.config.get("scope") == container.id:
            return True
        stack.extend(child for body in step.bodies.values() for child in body.steps)
    return False


def _map(body: Body) -> Schema:
    return {
        "type": "object",
        "properties": {child.id: {"x-step": child} for child in body.steps},
        "additionalProperties": False,
    }


def _list(step: Step, env: EnvInfo) -> Schema | None:
    return {"type": "array"}


def _set(step: Step, env: EnvInfo) -> Schema | None:
    values = step.config.get("values", step.config.get("value"))
    if is_array(values):
        return {"type": "array"}
    if is_object(values):
        return _closed(*values)
    return None


_BY_TYPE: dict[str, Callable[[Step, EnvInfo], Schema | None]] = {
    "wait_for_input": _wait,
    "external_tool_call": _wait,
    "workflow": _call,
    "parallel": _group,
    "sequence": _group,
    "saga": _group,
    "for_each": _list,
    "schedule": _list,
    "recur": _list,
    "set": _set,
}
