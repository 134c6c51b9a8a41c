"""References to steps that aren't surely done before: asked while templates are read, answered scope by scope."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from agentflow.definition.check.dependencies import Dependencies
from agentflow.definition.check.reach import before
from agentflow.definition.check.report import Report, Spot
from agentflow.definition.check.visible import Found
from agentflow.definition.models import Workflow
from agentflow.definition.scopes import Located, Scope

_FEW = 16


class _Question(NamedTuple):
    earlier: int
    later: int
    here: Located
    place: Callable[[], tuple[Spot, str]]


class Ordering:
    """Collects questions and answers them all at once."""

    def __init__(self, workflow: Workflow, dependencies: Dependencies, report: Report) -> None:
        """Make an empty collection."""
        self._severity = "warning" if workflow.dialect == "distri" else "error"
        self._dependencies = dependencies
        self._report = report
        self._asked: dict[Scope, list[_Question]] = {}

    def ask(self, found: Found, here: Located, place: Callable[[], tuple[Spot, str]]) -> None:
        """Ask whether the found step is surely done before the step in which the reference stands.

        Args:
            found: the step that is read.
            here: the step that reads.
            place: tells where the reference stands, and its text.
        """
        scope = found.located.scope
        if found.source is None or scope not in self._dependencies.sequences:
            return  # its order has problems of its own
        if here.address in self._report.pointers.broken:
            return  # its dependencies may not be what they were meant to be
        followers = scope.order.successors[found.located.number]
        if len(followers) < _FEW and found.source in followers:
            return  # the common case costs nothing more
        question = _Question(found.located.number, found.source, here, place)
        self._asked.setdefault(scope, []).append(question)

    def finish(self) -> None:
        """Answer, and report what isn't sure."""
        for scope, questions in self._asked.items():
            sequence = self._dependencies.sequences[scope]
            pairs = {(one.earlier, one.later) for one in questions}
            unsure = pairs - before(scope.order, sequence, pairs)
            if not unsure:
                continue
            turned = before(scope.order, sequence, {(later, earlier) for earlier, later in unsure})
            for one in questions:
                if (one.earlier, one.later) in unsure:
                    self._tell(scope, one, (one.later, one.earlier) in turned)

    def _tell(self, scope: Scope, one: _Question, after: bool) -> None:
        target, source = scope.steps[one.earlier].id, scope.steps[one.later]
        spot, text = one.place()
        optional = text[:-1] + "?}" if text.endswith("}") else f"{{{text}?}}"
        reader = f'step "{one.here.step.id}"'
        if target == source.id:
            what = (
                f"{reader} reads its own result" if one.here.step is source else f'{reader} reads "{target}" around it'
            )
            label = "it isn't done yet here"
            hint = None
        elif after:
            what = f'{reader} reads "{target}", which only runs after "{source.id}"'
            label = f'"{target}" isn\'t done yet here'
            hint = f'move "{target}" before "{source.id}", or write {optional} for null'
        else:
            what = f'{reader} reads "{target}", which isn\'t surely done before "{source.id}" starts'
            label = f'"{target}" and "{source.id}" may run at the same time'
            if target in source.depends_on_any:
                label = f'"{target}" is only one of several in `depends_on_any`'
            names = ", ".join((*source.depends_on, target))
            hint = f'give "{source.id}" depends_on: [{names}], or write {optional} for null'
        severity = "warning" if self._severity == "warning" else "error"
        self._report.add("AF-REF-ORDER", what, spot, label=label, hint=hint, severity=severity)
