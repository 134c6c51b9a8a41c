"""What a mended definition changes in a run: steps that differ, and steps that wait for other ones than before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agentflow.data import canonical
from agentflow.definition.canonical import step_data
from agentflow.definition.models import Step
from agentflow.definition.nested import with_nested
from agentflow.engine.catalog import Catalog
from agentflow.engine.compiling import sub_workflows
from agentflow.engine.program import Program, ScopeProgram

_TOLD = ("label", "description")
"""Fields that only people read."""


def changed(
    catalog: Catalog, old: Program, new: Program, before: Mapping[str, str], pins: Mapping[str, str]
) -> list[str]:
    """Return ids of the new definition's top-level steps that an old result isn't good for, in their order.

    Those that follow from them aren't among them.

    Args:
        catalog: knows the workflows that the new definition calls.
        old: the definition of the run.
        new: the definition that takes its place.
        before: hashes of the workflows that the old one calls, by id.
        pins: those of the new one.
    """
    if old.workflow.dialect != new.workflow.dialect:
        return [step.id for step in new.workflow.steps]
    known = {step.id: step for step in old.workflow.steps}
    was, now = _dependencies(old.root.bodies["steps"]), _dependencies(new.root.bodies["steps"])
    called = {name for name, digest in pins.items() if before.get(name) != digest}
    shared = old.workflow.context != new.workflow.context

    def differs(step: Step) -> bool:
        earlier = known.get(step.id)
        if earlier is None or was[step.id] != now[step.id]:
            return True
        data = _data(step)
        if data != _data(earlier) or (shared and (step.update or b"context" in data)):
            return True
        return bool(called) and not called.isdisjoint(_called(catalog, step))

    return [step.id for step in new.workflow.steps if differs(step)]


def _data(step: Step) -> bytes:
    return canonical({name: value for name, value in step_data(step).items() if name not in _TOLD})


def _called(catalog: Catalog, step: Step) -> set[str]:
    """Return the workflows that a step calls, and those that these call."""
    found: set[str] = set()
    stack = _named([step])
    while stack:
        name = stack.pop()
        program = catalog.current.get(name)
        if name not in found and program is not None:
            stack += sub_workflows(program.workflow)
        found.add(name)
    return found


def _named(steps: Iterable[Step]) -> list[str]:
    return [str(step.config.get("workflow")) for step in with_nested(steps) if step.type == "workflow"]


def _dependencies(scope: ScopeProgram) -> dict[str, frozenset[str]]:
    """Return which steps each one waits for at once, implicitly too."""
    order, names = scope.order, [step.id for step in scope.steps]
    sources: dict[int, set[str]] = {}
    for node, successors in enumerate(order.successors):
        own = {names[node]} if node < order.size else sources.get(node, set[str]())
        for target in successors:
            sources.setdefault(target, set()).update(own)
    for target, members in enumerate(order.any_of):
        sources.setdefault(target, set()).update(names[member] for member in members)
    return {name: frozenset(sources.get(number, ())) for number, name in enumerate(names)}
