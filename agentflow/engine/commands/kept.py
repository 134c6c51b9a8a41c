"""What a retry keeps of a run: chosen from the outside inwards, at every depth."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from agentflow.engine.counts import LOOPS, satisfied
from agentflow.engine.decided import Decided, decided_of, encoded
from agentflow.engine.models import RetryPart
from agentflow.engine.plan import containers, order
from agentflow.engine.plan.environment import Environment
from agentflow.engine.plan.frame import NodeFrame
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState, Tree
from agentflow.engine.program import Program, ScopeProgram, StepProgram
from agentflow.errors import NotFoundError
from agentflow.steps.containers import Opening
from agentflow.store.common import INSIDE
from agentflow.store.rows import RunRow, StepRow

_LAST = "\U0010ffff"
_GOOD = frozenset({"condition", "entry_point", "branch", "tolerated", "operator"})
"""Reasons of canceled steps that needn't run again."""
_UNDONE = frozenset({"compensated", "compensation_failed"})


class Kept(NamedTuple):
    """What is kept."""

    rows: dict[str, StepRow]
    """By address; of containers that are kept in part too, which haven't ended then."""
    parts: list[RetryPart]
    """Containers that are kept in part."""


class _Found(NamedTuple):
    """What is kept of a step."""

    rows: list[StepRow]
    whole: bool
    """Whether nothing of it runs again."""


class _Body(NamedTuple):
    """What is kept of a body of a container."""

    opening: Opening
    rows: list[StepRow]
    kept: int
    """How many of its steps are kept whole."""
    size: int

    @property
    def whole(self) -> bool:
        return self.kept == self.size


def good(row: StepRow) -> bool:
    """Tell whether a step has ended in a way that is kept. Compensated ones haven't."""
    return (row.state == "completed" and row.reason is None) or (row.state == "canceled" and row.reason in _GOOD)


class Choice:
    """Chooses the rows that a retry keeps."""

    def __init__(
        self, env: Environment, row: RunRow, program: Program, rows: Iterable[StepRow], target: str | None
    ) -> None:
        """Look at an ended run.

        Args:
            env: what the planner may ask.
            row: the run.
            program: the definition of the new one.
            rows: the steps that may be kept.
            target: address of what runs again, with what follows from it; None: what hasn't ended well.
        """
        self._run = RunState(Tree(env, row.run, row.epoch), row, row.run, program, None)
        self._target = target
        self._rows = {r.address: r for r in rows if r.state != "submitted" or r.phase == "kept"}
        self._addresses = sorted(self._rows)
        self._undone = {
            above for r in self._rows.values() if r.reason in _UNDONE for above in around(r.address)
        }  # fmt: skip
        self._parts: list[RetryPart] = []

    def choose(self, redo: Collection[int], starts: Collection[int]) -> Kept:
        """Choose.

        Args:
            redo: numbers of top-level steps that run again as a whole, with what follows from them.
            starts: numbers of those from which others follow that run again.
        """
        scope = self._run.program.root.bodies["steps"]
        found = self._scope(scope, [scope.segments[n] for n in range(len(scope.steps))], redo, starts)
        numbers = {segment: number for number, segment in enumerate(scope.segments)}
        rows: dict[str, StepRow] = {}
        count = len(numbers)
        for row in (row for each in found for row in each.rows):
            number = numbers.get(row.address, count)
            count += number == count
            rows[row.address] = row._replace(
                run=0, n=number, phase="kept", attempt=0, tries=0, entry=0, crashes=0, task=None
            )
        return Kept(rows, [part for part in self._parts if part.step in rows])

    def _scope(
        self, scope: ScopeProgram, addresses: list[str], redo: Collection[int] = (), starts: Collection[int] = ()
    ) -> list[_Found]:
        """Look at the steps of a scope: those that follow from one that runs again run again too."""
        found = [self._step(scope.member(n), address) for n, address in enumerate(addresses)]
        again = {*redo, *starts}
        for number, address in enumerate(addresses):
            row = self._rows.get(address)
            if not found[number].whole and (self._named(address) or (row is not None and satisfied(row))):
                again.add(number)
        for number in {*redo, *order.following(scope.order, again)}:
            found[number] = _Found([], False)
        return found

    def _named(self, address: str) -> bool:
        """Tell whether a step is what runs again, or holds it."""
        return self._target is not None and address in around(f"{self._target}/")

    def _step(self, program: StepProgram, address: str) -> _Found:
        row = self._rows.get(address)
        if row is None or address == self._target:
            return _Found([], False)
        named = self._named(address)
        if good(row) and not named and address not in self._undone and program.spec.name != "end":
            return _Found([row, *(self._inside(row) if row.state == "completed" else ())], True)
        return _Found(self._part(program, row, named=named) if program.container is not None else [], False)

    def _inside(self, row: StepRow) -> Iterator[StepRow]:
        """Yield the rows of all that a container which is kept whole holds."""
        for sign in "/[":
            low = bisect_left(self._addresses, row.address + sign)
            high = bisect_left(self._addresses, row.address + sign + _LAST)
            for address in self._addresses[low:high]:
                if "#" not in address[len(row.address) :]:
                    yield self._rows[address]

    def _part(self, program: StepProgram, row: StepRow, *, named: bool) -> list[StepRow]:
        """Return what is kept of a container that hasn't ended well, or holds what runs again."""
        container = program.container
        own = decided_of(row.memo).own or {}
        if container is None:
            return []
        node = Node(None, 0, program, row.n, row.address)
        node.decided = Decided(own=own)
        place = len(self._parts)
        frame, labels = NodeFrame(self._run, node), self._labels(row)
        bodies = [self._body(node, opening) for opening in container.restore(frame, labels)]
        if named and bodies:
            self._check_label(program, row.address, own, len(bodies))
        if row.state == "failed" and not named and all(body.whole for body in bodies):
            return []  # it failed by itself, and would again
        back = container.rewind(own, {body.opening.label for body in bodies if body.whole})
        if back is None:
            return []
        node.decided = Decided(own=back)
        openings = container.restore(frame, labels)
        still = {opening.body + opening.label for opening in openings}
        bodies = [body for body in bodies if body.opening.body + body.opening.label in still]
        inner = [each for body in bodies for each in body.rows]
        if not inner:
            return []
        self._parts.insert(place, _part(program, row.address, back, bodies))
        return [
            row._replace(state="submitted", reason=None, error=None, result=None, memo=encoded(node.decided)),
            *inner,
        ]

    def _body(self, node: Node, opening: Opening) -> _Body:
        program = node.program.bodies[opening.body]
        prefix, exact = containers.prefix_of(node, opening), containers.exact_of(node, opening)
        if self._target == prefix[:-1] and exact is None:
            return _Body(opening, [], 0, len(program.steps))
        found = self._scope(program, [exact] if exact else [prefix + segment for segment in program.segments])
        kept = sum(1 for each in found if each.whole)
        return _Body(opening, [row for each in found for row in each.rows], kept, len(found))

    def _labels(self, row: StepRow) -> set[str]:
        """Return the labels of a loop's iterations that have rows."""
        start = len(row.address)
        low = bisect_left(self._addresses, f"{row.address}[")
        high = bisect_left(self._addresses, f"{row.address}[{_LAST}")
        return {address[start : address.index("]", start) + 1] for address in self._addresses[low:high]}

    def _check_label(self, program: StepProgram, address: str, own: dict[str, Any], opened: int) -> None:
        """Refuse the number of an iteration that there wasn't."""
        if self._target is None or not (program.loop or program.spec.name in LOOPS):
            return
        number = int(self._target[len(address) + 1 :].partition("]")[0])
        count = len(own["items"]) if "items" in own else opened
        if number >= count:
            raise NotFoundError(
                f'step "{address}" had no iteration {number}', code="AF-STEP-UNKNOWN",
                hint=f"its iterations: {address}[0] to {address}[{count - 1}]",
            )  # fmt: skip


def around(address: str) -> set[str]:
    """Return the addresses of all that a step is inside of, loops' iterations included."""
    return {address[:place] for place, sign in enumerate(address) if sign in INSIDE}


def _part(program: StepProgram, address: str, own: dict[str, Any], bodies: list[_Body]) -> RetryPart:
    if program.loop is None and program.spec.name not in LOOPS:
        kept, count = sum(body.kept for body in bodies), sum(body.size for body in bodies)
        return RetryPart(address, kept, count - kept, "steps")
    kept = sum(1 for body in bodies if body.whole)
    return RetryPart(address, kept, len(own["items"]) - kept if "items" in own else None, "iterations")
