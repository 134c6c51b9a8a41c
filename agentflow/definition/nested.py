"""All the steps of a workflow, or inside of steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agentflow.definition.models import CallingStep, Step, Workflow


def all_steps(workflow: Workflow) -> Iterator[Step]:
    """Yield every step of a workflow, nested ones and hooks included."""
    return with_nested([*workflow.steps, *workflow.on_success, *workflow.on_failure, *workflow.finally_])


def with_nested(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps and what is nested in them, hooks and compensations included."""
    stack = list(steps)
    while stack:
        step = stack.pop()
        yield step
        for body in step.bodies.values():
            stack.extend(body.steps)
        if step.on_success or step.on_failure or step.finally_:
            stack.extend((*step.on_success, *step.on_failure, *step.finally_))
        if step.compensate is not None:
            stack.extend(step.compensate.steps)


def can_undo(step: Step) -> bool:
    """Tell whether a step inside another can be undone."""
    stack = [inner for body in step.bodies.values() for inner in body.steps]
    while stack:
        inner = stack.pop()
        if inner.compensate is not None:
            return True
        stack.extend(each for body in inner.bodies.values() for each in body.steps)
    return False


def called_by(workflow: Workflow) -> Iterator[Workflow]:
    """Yield the workflows that steps were given as objects."""
    for step in all_steps(workflow):
        if isinstance(step, CallingStep) and step.called is not None:
            yield step.called


def with_called(workflows: Iterable[Workflow]) -> list[Workflow]:
    """Return workflows, and after them those that come along with their steps, each once."""
    found = list(workflows)
    for workflow in found:  # it grows meanwhile
        found.extend(each for each in called_by(workflow) if each not in found)
    return found
