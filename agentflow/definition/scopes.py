"""The scopes of a workflow and the addresses of its steps: one iterative walk in definition order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from agentflow.definition.models import Body, Execution, Step, Workflow
from agentflow.definition.order import Order, order
from agentflow.definition.pointers import segment
from agentflow.definition.step_fields import HOOKS

ScopeKind = Literal["main", "body", "hook", "compensate"]

_EXECUTION: dict[str, Execution] = {"parallel": "parallel", "sequence": "sequential", "saga": "sequential"}


@dataclass(eq=False)
class Scope:
    """One list of steps with names of its own."""

    kind: ScopeKind
    key: str
    """Body key or name of the hook that holds the steps; `steps` for the workflow's own."""
    steps: Sequence[Step]
    prefix: str
    """What stands before an id in the address of a step here."""
    execution: Execution
    owner: Located | None = None
    """The step that holds this scope; None for the workflow's own and its hooks."""
    outer: Scope | None = None
    """The scope whose steps are visible from here too: of a hook the steps it follows, else the holder's scope."""
    depth: int = 0
    """How many steps stand around it."""
    single: bool = False
    """One step instead of a list; its address is the body's own."""

    @cached_property
    def ids(self) -> dict[str, int]:
        """Id → number of the step; the first one where an id is used twice."""
        found: dict[str, int] = {}
        for number, step in enumerate(self.steps):
            found.setdefault(step.id, number)
        return found

    @cached_property
    def order(self) -> Order:
        """Who waits for whom."""
        return order(self.steps, self.execution)

    def address(self, step: Step) -> str:
        """Return the address of a step of this scope."""
        return self.prefix[:-1] if self.single else self.prefix + segment(step.id)

    @cached_property
    def located(self) -> tuple[Located, ...]:
        """Its steps with their addresses."""
        return tuple(Located(step, self.address(step), self, number) for number, step in enumerate(self.steps))


@dataclass(eq=False, slots=True)
class Located:
    """A step and where it stands."""

    step: Step
    address: str
    scope: Scope
    number: int
    inside: list[Scope] = field(default_factory=list["Scope"])
    """Scopes that it holds, in definition order; filled by the walk."""


def walk(workflow: Workflow) -> Iterator[Scope]:
    """Yield every scope of a workflow, each before those inside it, in definition order."""
    main = Scope("main", "steps", workflow.steps, "", _of(workflow))
    stack = [main]
    for key, steps in zip(HOOKS, (workflow.on_success, workflow.on_failure, workflow.finally_), strict=True):
        if steps:
            stack.append(Scope("hook", key, steps, f"#{key}/", "sequential", outer=main))
    stack.reverse()
    while stack:
        scope = stack.pop()
        yield scope
        inner: list[Scope] = []
        for located in scope.located:
            step = located.step
            if step.bodies or step.compensate or step.on_success or step.on_failure or step.finally_:
                located.inside = list(_inside(workflow, located))
                inner.extend(located.inside)
        stack.extend(reversed(inner))


def _inside(workflow: Workflow, holder: Located) -> Iterator[Scope]:
    step, address, scope = holder.step, holder.address, holder.scope
    execution = _EXECUTION.get(step.type, _of(workflow))
    bodies: list[tuple[ScopeKind, str, Body, str, Execution]] = []
    for key, body in step.bodies.items():
        prefix = f"{address}/" if key == "steps" else f"{address}/{key}/"
        bodies.append(("body", key, body, prefix, execution))
    if step.compensate:
        bodies.append(("compensate", "compensate", step.compensate, f"{address}#compensate/", "sequential"))
    for key, steps in zip(HOOKS, (step.on_success, step.on_failure, step.finally_), strict=True):
        if steps:
            bodies.append(("hook", key, Body(steps=steps), f"{address}#{key}/", "sequential"))
    main: Scope | None = None
    for kind, key, body, prefix, order_inside in bodies:
        outer = scope if kind == "body" or main is None else main
        made = Scope(kind, key, body.steps, prefix, order_inside, holder, outer, scope.depth + 1, body.single)
        if key == "steps":
            main = made
        yield made


def _of(workflow: Workflow) -> Execution:
    return workflow.execution or workflow.defaults.execution or "sequential"
