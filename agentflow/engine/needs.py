"""What the steps of a whole workflow need, told before it starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agentflow.definition.models import Step, Workflow
from agentflow.engine.program import Program
from agentflow.principal import Principal
from agentflow.requirements import Checker


def missing_skills(program: Program, checker: Checker, principal: Principal) -> list[str]:
    """Return the skills that any step lacks, and the connections that a principal lacks for it, each once."""
    found: dict[str, None] = {}
    for step in all_steps(program.workflow):
        spec = program.types(step.type)
        found.update(dict.fromkeys(checker.missing(step.requires, spec.skills if spec else (), principal)))
    return list(found)


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
