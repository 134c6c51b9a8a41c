"""Finds the definition of a step by its address in a run. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from agentflow.definition.models import Body, Step, Workflow

_SEGMENT = re.compile(r"^([^\[#]*)((?:\[\d+\])*)(?:#([a-z_]+))?$")


def locate(workflow: Workflow, address: str) -> Step | None:
    """Return the definition of the step at an address, whichever iteration it belongs to."""
    found = _Found(None, workflow.steps)
    for segment in address.split("/"):
        inner = _descend(workflow, found, segment)
        if inner is None:
            return None
        found = inner
    return found.step


class _Found(NamedTuple):
    step: Step | None
    scope: Sequence[Step]
    """Steps that the next segment of an address may name."""


def _descend(workflow: Workflow, found: _Found, segment: str) -> _Found | None:
    """Follow one segment of an address: a body's key, a step with its iteration, a hook."""
    if found.step is not None and segment in found.step.bodies:
        return _into(found.step.bodies[segment], found.step)
    parts = _SEGMENT.match(segment)
    if parts is None:
        return None
    name, hook = str(parts[1]), parts[3]
    if name:
        names = (unquote(name), unquote(segment.partition("#")[0]))
        step = next((each for each in found.scope if each.id in names), None)
        if step is not None:
            found = _Found(step, _inner(step))
        elif found.step is not None and name in found.step.bodies:
            return _into(found.step.bodies[name], found.step)
        else:
            return None
    return _hook(workflow, found.step if name else None, str(hook)) if hook else found


def _inner(step: Step) -> list[Step]:
    return [inner for body in step.bodies.values() for inner in body.steps]


def _into(body: Body, owner: Step) -> _Found:
    if body.single and body.steps:
        return _Found(body.steps[0], _inner(body.steps[0]))
    return _Found(owner, body.steps)


def _hook(workflow: Workflow, step: Step | None, hook: str) -> _Found:
    if step is not None and hook == "compensate" and step.compensate is not None:
        body = step.compensate
        return _Found(body.steps[0], ()) if body.single and body.steps else _Found(step, body.steps)
    owner = step or workflow
    steps: Mapping[str, Sequence[Step]] = {
        "on_success": owner.on_success,
        "on_failure": owner.on_failure,
        "finally": owner.finally_,
    }
    return _Found(step, steps.get(hook, ()))
