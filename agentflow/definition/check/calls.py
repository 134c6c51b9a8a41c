"""Sub-workflows: do they exist, do they call each other in circles, does the input fit."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition.check.info import EnvInfo
from agentflow.definition.check.report import Report, Spot, known
from agentflow.definition.inputs import is_open
from agentflow.definition.models import Step, Workflow
from agentflow.definition.scopes import Located, Scope, walk


def called(step: Step) -> str | None:
    """Return the workflow that a step calls, if it is named statically."""
    name = step.config.get("workflow")
    return name if step.type == "workflow" and isinstance(name, str) and "{" not in name else None


def calls_of(workflow: Workflow) -> tuple[str, ...]:
    """Return the workflows that a workflow calls, each once."""
    names = (called(step) for scope in walk(workflow) for step in scope.steps)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def check_calls(workflow: Workflow, scopes: Sequence[Scope], env: EnvInfo, report: Report) -> None:
    """Check every call of another workflow."""
    callers = [located for scope in scopes for located in scope.located if located.step.type == "workflow"]
    if env.workflows is None or not callers:
        return
    for located in callers:
        name = called(located.step)
        if name is None:
            continue
        target = env.workflows.get(name)
        if target is not None:
            _check_input(located, target, report)
            continue
        label = report.meant(name, env.workflows)
        report.add(
            "AF-REF-WORKFLOW",
            f'step "{located.step.id}" calls an unknown workflow "{name}"',
            Spot(located.address, "workflow"),
            label=label,
            hint=None if label else known(env.workflows, "workflows"),
        )
    _check_circle(workflow, callers, env, report)


def _check_input(located: Located, target: Workflow, report: Report) -> None:
    """Look at the keys of a literal input: is every required one there, and none unknown."""
    field = "input" if "input" in located.step.config else "with"
    given: Any = located.step.config.get("input", located.step.with_)
    schema: Mapping[str, Any] = target.input_schema or {}
    properties = schema.get("properties")
    if not is_object(given if given is not None else {}) or not is_object(properties):
        return
    given = given or {}
    spot = Spot(located.address, field)
    required = schema.get("required")
    missing = [name for name in required if isinstance(name, str) and name not in given] if is_array(required) else []
    for name in given:
        if name in properties or is_open(schema):
            continue
        near = report.nearest(name, missing) or report.nearest(name, properties)
        missing = [one for one in missing if one != near]
        report.add(
            "AF-CALL-INPUT",
            f'workflow "{target.id}" has no input "{name}"',
            Spot(located.address, field, (name,), key=True),
            label=f'did you mean "{near}"?' if near else None,
            hint=None if near else known(properties, "inputs"),
        )
    if missing:
        names = ", ".join(f'"{name}"' for name in missing)
        where = spot if given else Spot(located.address, "workflow")
        report.add("AF-CALL-INPUT", f'workflow "{target.id}" needs input {names}', where)


def _check_circle(workflow: Workflow, callers: Sequence[Located], env: EnvInfo, report: Report) -> None:
    """Report the shortest circle through this workflow, unless a workflow before it in the file tells it."""
    workflows = env.workflows or {}
    came: dict[str, str] = {}
    queue = deque([workflow.id])
    while queue and workflow.id not in came:
        caller = queue.popleft()
        for name in _calls(workflow if caller == workflow.id else workflows[caller], env):
            if name in workflows and name not in came:
                came[name] = caller
                queue.append(name)
    if workflow.id not in came:
        return
    circle = [workflow.id]
    while len(circle) == 1 or circle[-1] != workflow.id:
        circle.append(came[circle[-1]])
    circle.reverse()
    if next((name for name in workflows if name in circle), workflow.id) != workflow.id:
        return
    first = next(located for located in callers if called(located.step) == circle[1])
    report.add(
        "AF-GRAPH-CALLS",
        f"Circular dependency detected: {' → '.join(circle)} "
        + ("(a workflow calls itself)" if len(circle) == 2 else "(these workflows call each other)"),
        Spot(first.address, "workflow"),
        hint='a step of type "while" or "until" repeats steps without calling the workflow again',
    )


def _calls(workflow: Workflow, env: EnvInfo) -> tuple[str, ...]:
    if workflow.id not in env.calls:
        env.calls[workflow.id] = calls_of(workflow)
    return env.calls[workflow.id]
