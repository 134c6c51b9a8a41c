"""Slots of keys that the steps around a step hold already while it asks for one: it could never be given one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from agentflow.definition.check.calls import called
from agentflow.definition.check.info import EnvInfo
from agentflow.definition.check.report import Report, Spot
from agentflow.definition.models import Step, Workflow
from agentflow.definition.scopes import Located, Scope, walk

_HINT = "give the inner step another key, or none: it is at work only while the outer one is"


class _Nested(NamedTuple):
    """A step of a called workflow that would ask in vain."""

    workflow: str
    step: str
    key: str


def check_slots(scopes: Sequence[Scope], env: EnvInfo, report: Report) -> None:
    """Check that no step needs what those around it can't give back before it ends; keys with templates are skipped."""
    calls = _Calls(env)
    for located in (located for scope in scopes for located in scope.located):
        key = _key(located.step)
        if key is not None and _in_vain(located.step, key, Counter(_around(located))):
            report.add(
                "AF-GRAPH-SLOT",
                f'step "{located.step.id}" would wait for "{key}" for ever: the steps around it hold it',
                Spot(located.address, "concurrency", ("key",)),
                hint=_HINT,
            )
        name = called(located.step)
        found = calls.nested(name, _held(located)) if name is not None else None
        if found is not None:
            report.add(
                "AF-GRAPH-SLOT",
                f'step "{found.step}" of workflow "{found.workflow}" would wait for "{found.key}" for ever:'
                f' step "{located.step.id}", or one around it, holds it while it calls "{name}"',
                Spot(located.address, "workflow"),
                hint=_HINT,
            )


def _key(step: Step) -> str | None:
    """Return the key of a step, if it is known before the run."""
    key = step.concurrency.key if step.concurrency is not None else None
    return key if key is not None and "{" not in key and "}" not in key else None


def _in_vain(step: Step, key: str, held: Counter[str]) -> bool:
    return step.concurrency is not None and held[key] >= step.concurrency.limit


def _around(located: Located) -> Iterator[str]:
    """Give the keys that the steps around one hold; one that is compensated has given its own back."""
    scope = located.scope
    while scope.owner is not None:
        key = _key(scope.owner.step)
        if key is not None and scope.kind != "compensate":
            yield key
        scope = scope.owner.scope


def _held(located: Located) -> Counter[str]:
    """Return what is held while a step is at work."""
    own = _key(located.step)
    return Counter([*_around(located), *([own] if own is not None else ())])


class _Calls:
    """Looks into the workflows that are called, each once for what is held around it."""

    def __init__(self, env: EnvInfo) -> None:
        self._workflows = env.workflows or {}
        self._known: dict[tuple[str, frozenset[tuple[str, int]]], _Nested | None] = {}
        self._steps: dict[str, list[Located]] = {}
        self._open: set[str] = set()
        """Workflows that are being looked into: they may call each other in circles."""

    def nested(self, name: str, held: Counter[str]) -> _Nested | None:
        """Return a step of a workflow, or of those it calls, that would ask in vain for what is held around it."""
        if not held or name not in self._workflows or name in self._open:
            return None
        asked = name, frozenset(held.items())
        if asked not in self._known:
            self._open.add(name)
            self._known[asked] = self._look(self._workflows[name], held)
            self._open.remove(name)
        return self._known[asked]

    def _look(self, workflow: Workflow, held: Counter[str]) -> _Nested | None:
        for located in self._of(workflow):
            inside = held + Counter(_around(located))
            key = _key(located.step)
            if key in held and key is not None and _in_vain(located.step, key, inside):
                return _Nested(workflow.id, located.step.id, key)
            name = called(located.step)
            found = self.nested(name, held + _held(located)) if name is not None else None
            if found is not None:
                return found
        return None

    def _of(self, workflow: Workflow) -> Iterable[Located]:
        """Return the steps of a workflow that matter: those with keys, and those that call others."""
        if workflow.id not in self._steps:
            steps = (located for scope in walk(workflow) for located in scope.located)
            self._steps[workflow.id] = [each for each in steps if _key(each.step) or called(each.step)]
        return self._steps[workflow.id]
