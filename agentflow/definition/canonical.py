"""The canonical form of a workflow: flat, without defaults and positions. Its hash is the definition's identity."""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel

from agentflow.data import MAX_DEPTH, admit, canonical, digest, is_object
from agentflow.definition.field_names import written
from agentflow.definition.models import Body, Step, Workflow
from agentflow.definition.step_fields import COMMON, HOOKS
from agentflow.errors import Problem
from agentflow.unfit import UnfitError, find_fault

_STEP_DEFAULTS: tuple[tuple[str, str, Any], ...] = tuple(
    (name, attribute, Step.model_fields[attribute].get_default(call_default_factory=True))
    for name, attribute in COMMON.items()
    if name not in HOOKS and name != "compensate"
)
_WORKFLOW_DEFAULTS: tuple[tuple[str, str, Any], ...] = tuple(
    (written(name, info), name, info.get_default(call_default_factory=True))
    for name, info in Workflow.model_fields.items()
    if name not in ("id", "steps") and (written(name, info)) not in HOOKS
)


def to_data(workflow: Workflow) -> dict[str, Any]:
    """Return a workflow's canonical data; reading it gives an equal workflow."""
    data: dict[str, Any] = {"id": workflow.id}
    for name, attribute, default in _WORKFLOW_DEFAULTS:
        value: Any = getattr(workflow, attribute)
        if value != default or (value is not default and isinstance(value, bool) != isinstance(default, bool)):
            data[name] = _plain(value)
    data["steps"] = [_step(step) for step in workflow.steps]
    _hooks(workflow, data)
    return data


def unfit_value(workflow: Workflow) -> Problem | None:
    """Return what couldn't be kept of a workflow that was made in Python; loaders look after those of files."""
    own = {written(name, info): getattr(workflow, name) for name, info in Workflow.model_fields.items()}
    fault = find_fault({name: value for name, value in own.items() if name != "steps" and name not in HOOKS}, MAX_DEPTH)
    try:
        if fault is None:
            admit(to_data(workflow), depth=2 * MAX_DEPTH)  # how deep its steps are nested is told by a check
    except UnfitError as error:
        fault = error
    return fault and Problem("AF-FIELD-VALUE", f'workflow "{workflow.id}" holds what can\'t be kept: {fault}')


def definition_hash(workflow: Workflow) -> str:
    """Return the identity of a definition: equal for equal definitions, however they were written."""
    return digest(canonical(to_data(workflow)))


def step_data(step: Step) -> dict[str, Any]:
    """Return a step's canonical data, nested steps included."""
    return _step(step)


def _step(step: Step, *, anonymous: str | None = None) -> dict[str, Any]:
    data: dict[str, Any] = {"type": step.type} if step.id == anonymous else {"id": step.id, "type": step.type}
    for name, attribute, default in _STEP_DEFAULTS:
        value: Any = getattr(step, attribute)
        if value is not default and value != default:
            data[name] = _plain(value)
    _hooks(step, data)
    if step.compensate is not None:
        data["compensate"] = _body(step.compensate, "compensate")
    data.update(step.config)
    if step.bodies:
        _bodies(step, data)
    return data


def _hooks(owner: Step | Workflow, data: dict[str, Any]) -> None:
    for name, steps in (
        ("on_success", owner.on_success),
        ("on_failure", owner.on_failure),
        ("finally", owner.finally_),
    ):
        if steps:
            data[name] = [_step(step) for step in steps]


def _bodies(step: Step, data: dict[str, Any]) -> None:
    cases: list[dict[str, Any]] = []
    for key, body in step.bodies.items():
        if key.startswith("case["):
            cases.append({"when": step.config.get("cases", [])[len(cases)], "steps": _body(body, key)})
        else:
            data[key] = _body(body, key)
    if cases:
        data["cases"] = cases


def _body(body: Body, key: str) -> Any:
    if body.single:
        return _step(body.steps[0], anonymous=key)
    return [_step(step) for step in body.steps]


def _plain(value: Any) -> Any:
    """Return models and tuples as plain data, without defaults."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if isinstance(value, tuple):
        return [_plain(item) for item in cast("tuple[Any, ...]", value)]
    if is_object(value) and any(isinstance(item, BaseModel) for item in value.values()):
        return {name: _plain(item) for name, item in value.items()}
    return value
