"""Order inside each scope: ids used twice, unknown dependencies, circles, steps that never run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

from agentflow.definition.check.ids import ID_RULE, is_plain_id
from agentflow.definition.check.reach import components, shortest, sort
from agentflow.definition.check.report import Report, Spot, known
from agentflow.definition.faults import shorten
from agentflow.definition.models import Step
from agentflow.definition.scopes import Located, Scope

_SHOWN = 8


class Dependencies:
    """Checks the order of all scopes, and keeps which of them can be trusted by further checks."""

    def __init__(self, scopes: Sequence[Scope], report: Report, *, lenient: bool = False) -> None:
        """Make the check of some scopes, each before those inside it.

        Args:
            scopes: the scopes.
            report: where problems go.
            lenient: ids may have any form, as in distri's files.
        """
        self._lenient = lenient
        self.scopes = scopes
        self.sequences: dict[Scope, list[int]] = {}
        """Topological order of every scope without a problem."""
        self._report = report
        self.unnamed = any(step.id.startswith("[") for scope in scopes for step in scope.steps)
        """A step's id couldn't be read: any unknown name may be meant for it."""
        self._homes: dict[str, list[Located]] | None = None

    def check(self) -> None:
        """Check every scope."""
        for scope in self.scopes:
            self._check_form(scope)
            unique = self._check_ids(scope)
            sound = self._check_names(scope) and unique
            for located in scope.located:
                if len(located.inside) > 1:
                    self._check_branches(located)
            if not unique:
                continue
            sequence = sort(scope.order)
            if len(sequence) < len(scope.order.successors):
                self._check_cycles(scope, sequence)
            elif sound:
                self.sequences[scope] = sequence
                self._check_ends(scope)

    def homes(self, step_id: str) -> list[Located]:
        """Return all steps of the workflow with an id, whatever their scope."""
        if self._homes is None:
            self._homes = {}
            for scope in self.scopes:
                if not scope.single:
                    for located in scope.located:
                        self._homes.setdefault(located.step.id, []).append(located)
        return self._homes.get(step_id, [])

    def _check_form(self, scope: Scope) -> None:
        if scope.single or self._lenient:
            return
        for located in scope.located:
            name = located.step.id
            if not is_plain_id(name) and not name.startswith("["):
                self._report.add(
                    "AF-STEP-ID",
                    f'"{shorten(name, 60)}" is no step id: {ID_RULE}',
                    id_spot(located, self._report),
                    hint="put what people should read into `label`",
                )

    def _check_ids(self, scope: Scope) -> bool:
        if len(scope.ids) == len(scope.steps):
            return True
        for located in scope.located:
            first = scope.ids[located.step.id]
            if first != located.number:
                self._twice(scope.located[first], located)
        return False

    def _twice(self, first: Located, second: Located, *, branches: Step | None = None) -> None:
        # Both may have the same address, so their places are found from the list that holds them.
        one, two = id_spot(first, self._report), id_spot(second, self._report)
        before = self._report.where(one)
        self._report.add(
            "AF-GRAPH-DUPLICATE",
            f'two steps have the id "{second.step.id}"',
            two,
            label=f"the first one is{before}" if before else None,
            hint="give one of them another id" if branches is None else _branches_hint(branches),
        )

    def _check_branches(self, holder: Located) -> None:
        seen: dict[str, Located] = {}
        for scope in holder.inside:
            if scope.kind != "body" or scope.single:
                continue
            for located in scope.located:
                first = seen.setdefault(located.step.id, located)
                if first.scope is not scope:
                    self._twice(first, located, branches=holder.step)

    def _check_names(self, scope: Scope) -> bool:
        sound = True
        for located in scope.located:
            step = located.step
            if not step.depends_on and not step.depends_on_any:
                continue
            for field, names in (("depends_on", step.depends_on), ("depends_on_any", step.depends_on_any)):
                for number, name in enumerate(names):
                    if name not in scope.ids:
                        sound = False
                        self._unknown(located, name, Spot(located.address, field, (number,)))
        return sound

    def _unknown(self, located: Located, name: str, spot: Spot) -> None:
        if self.unnamed or self._report.only_counted():
            return
        message = f"Step '{located.step.id}' depends on '{name}' which does not exist"
        outer = located.scope.outer
        while outer is not None and name not in outer.ids:
            outer = outer.outer
        label = hint = None
        inside = [home for home in self.homes(name) if located.scope in _around(home)]
        if outer is not None:
            message += " in the same list of steps"
            holder = _holder(located.scope, outer)
            label = f'"{name}" stands outside of "{holder}"'
            hint = f'let "{holder}" depend on "{name}": `depends_on` names steps of the same list'
        elif inside:
            message += " in the same list of steps"
            container = _holder(inside[0].scope, located.scope)
            label = f'"{name}" is inside "{container}"'
            hint = f"depends_on: [{container}]"
        else:
            others = [one for one in located.scope.ids if one != located.step.id]
            label = self._report.meant(name, others)
            hint = None if label else known(others, "steps of the same list")
        self._report.add("AF-GRAPH-DEPENDS", message, spot, label=label, hint=hint)

    def _check_cycles(self, scope: Scope, sequence: Sequence[int]) -> None:
        done = set(sequence)
        rest = [node for node in range(len(scope.order.successors)) if node not in done]
        for group in components(scope.order, rest):
            self._circle(scope, group)

    def _circle(self, scope: Scope, group: Sequence[int]) -> None:
        members = {scope.steps[node].id: node for node in group if node < scope.order.size}
        for node in members.values():
            step = scope.steps[node]
            first = next((name for name in (*step.depends_on, *step.depends_on_any) if name in members), None)
            if first is not None:
                break
        else:  # pragma: no cover  implicit edges only go down a list, so a circle has an explicit one
            return
        # The way goes from who is waited for to who waits; people read "a → b" as "a waits for b".
        way = shortest(scope.order, group, node, members[first])
        self._tell(scope, [step, *(scope.steps[number] for number in reversed(way) if number < scope.order.size)])

    def _tell(self, scope: Scope, circle: Sequence[Step]) -> None:
        start, second = circle[0], circle[1]
        names = [step.id for step in circle]
        if len(names) > _SHOWN + 2:
            names = [*names[:_SHOWN], f"… ({len(circle) - _SHOWN - 1:,} more)", names[-1]]
        meaning = "a step waits for itself" if start is second else "these steps wait for each other"
        edges = list(pairwise(circle[1:]))
        implicit = [edge for edge in edges if _edge_kind(*edge) == "implicit"]
        shown = ((implicit or edges) if len(edges) > 3 else edges)[:3]
        label = "and " + ", ".join(self._link(scope, *edge) for edge in shown) if shown else None
        if len(shown) < len(edges):
            label = f"{label}, …"
        which = "one of the two" if len(edges) == 1 else "one of the dependencies"
        hint = f'remove {which}; a step of type "while" or "until" makes a loop'
        if implicit:
            hint = "depend on steps above only, or give each step a `depends_on`, which replaces the implicit order"
        self._report.add(
            "AF-GRAPH-CYCLE",
            f"Circular dependency detected: {' → '.join(names)} ({meaning})",
            self._edge(scope, start, second),
            label=label,
            hint=hint,
        )

    def _link(self, scope: Scope, waits: Step, target: Step) -> str:
        if _edge_kind(waits, target) == "implicit":
            return f"{waits.id} waits for {target.id} because it stands below it (implicit)"
        return f"{waits.id} depends on {target.id}{self._report.where(self._edge(scope, waits, target))}"

    @staticmethod
    def _edge(scope: Scope, waits: Step, target: Step) -> Spot:
        kind = _edge_kind(waits, target)
        if kind == "implicit":
            return Spot(scope.address(waits), "id")
        names = waits.depends_on if kind == "depends_on" else waits.depends_on_any
        return Spot(scope.address(waits), kind, (names.index(target.id),))

    def _check_ends(self, scope: Scope) -> None:
        for located in scope.located:
            step = located.step
            if step.type != "end" or step.if_ is not None or step.skip_if is not None or step.for_each is not None:
                continue
            if not scope.order.successors[located.number] or self._report.only_counted("warning"):
                continue
            after = _after(scope, located.number)
            if after:
                first = scope.located[after[0]]
                more = f" (and {len(after) - 1} more)" if len(after) > 1 else ""
                self._report.add(
                    "AF-GRAPH-UNREACHABLE",
                    f'step "{first.step.id}"{more} never runs: "{step.id}" ends everything before it',
                    Spot(first.address, "id"),
                    hint=f'give "{step.id}" an `if:`, or remove what comes after it',
                    severity="warning",
                )


def _branches_hint(holder: Step) -> str:
    of = {"switch": "cases of a switch", "condition": "branches of a condition"}.get(holder.type, "bodies of a step")
    return f"all {of} are one scope: give one of them another id; either result is read as {{steps.{holder.id}}}"


def id_spot(located: Located, report: Report) -> Spot:
    """Return where a step's id stands, also where two steps of a list share an address."""
    first = located.scope.located[0]
    pointer = report.pointers.pointer(first.address)
    head, _, tail = pointer.rpartition("/")
    if located.scope.single or not tail.isdecimal():
        return Spot(located.address, "id")
    return Spot("", pointer=f"{head}/{located.number}/id")


def _edge_kind(waits: Step, target: Step) -> Literal["depends_on", "depends_on_any", "implicit"]:
    if target.id in waits.depends_on:
        return "depends_on"
    return "depends_on_any" if target.id in waits.depends_on_any else "implicit"


def _around(located: Located) -> Iterable[Scope]:
    scope = located.scope.outer
    while scope is not None:
        yield scope
        scope = scope.outer


def _holder(inner: Scope, outer: Scope) -> str:
    """Return the id of the step of `outer` inside which `inner` is."""
    while inner.owner is not None and inner.owner.scope is not outer:
        inner = inner.owner.scope
    return inner.owner.step.id if inner.owner else "the workflow"


def _after(scope: Scope, number: int) -> list[int]:
    seen = {number}
    stack = [number]
    while stack:
        for follower in scope.order.successors[stack.pop()]:
            if follower not in seen:
                seen.add(follower)
                stack.append(follower)
    return sorted(node for node in seen if node != number and node < scope.order.size)
