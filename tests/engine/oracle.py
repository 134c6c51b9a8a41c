"""What must come of a random workflow: a plain interpreter that does one thing after the other.

It shares nothing with the engine: it knows no rows, scopes, time or crashes, and no two things happen at once in it. A
step's path is its address in its run; a sub-workflow's steps follow its own path and a `>`.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.engine.plans import CHANGED, LEAVES, TOPIC, Plan, edges

MENDS, STAYS = True, False
"""Failures that another try may mend, and those that it can't."""


class Ambiguous(Exception):
    """What comes of it depends on which of two failures is first."""


@dataclass
class End:
    """How a step or a list of steps ended."""

    failures: set[bool] = field(default_factory=set[bool])
    """Empty: well."""
    value: Any = None

    @property
    def good(self) -> bool:
        """Whether it ended well."""
        return not self.failures


def value_of(address: str, plan: Plan, seen: Any) -> str:
    """Return what a call gives: its address, and what it saw."""
    return address if plan.sees is None else f"{address}|{zlib.crc32(json.dumps(seen, sort_keys=True).encode())}"


class Oracle:
    """Interprets a workflow. `answers` are what people answered, by the path of the step that asked last."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        """Know nothing yet."""
        self.answers = answers
        self.states: dict[str, tuple[str, str | None]] = {}
        """Path → state and reason, of the last try of whatever encloses it."""
        self.results: dict[str, Any] = {}
        self.worked: set[str] = set()
        """Paths of steps whose work nobody has accepted: a saga undoes it all the same."""
        self.plans: dict[str, Plan] = {}
        self.tries: dict[str, int] = {}
        self.attempts: Counter[str] = Counter()
        """How often it was begun in all."""
        self.completions: Counter[str] = Counter()
        """How often it was completed in all."""
        self.failed: Counter[str] = Counter()
        self.shared: Counter[str] = Counter()
        self.values: dict[str, dict[str, Any]] = {}

    def flow(self, plan: Plan, at: str = "") -> End:
        """Interpret a workflow; its end and its output."""
        for table in (self.failed, self.attempts, self.completions, self.shared):
            for path in [path for path in table if at and path.startswith(at)]:
                del table[path]
        self.shared[at] = 0
        values: dict[str, Any] = {}
        end = self._hooks(plan, at, self._scope(plan.body, at, values))
        if end.good:
            last = values[plan.body[-1].id]
            end.value = last if plan.bare else {"n": self.shared[at], "last": last}
        return end

    def _scope(self, plans: Sequence[Plan], prefix: str, values: dict[str, Any], exact: str | None = None) -> End:
        """Interpret a list of steps. What doesn't depend on a failed one goes on."""
        ended: dict[str, str] = {}
        failures: set[bool] = set()
        for plan in plans:
            values[plan.id] = None
            if _ready(plan, plans, ended):
                path = exact or prefix + plan.id
                failures |= self._step(plan, path, values)
                ended[plan.id], reason = self.states[path]
                values[plan.id] = self.results.get(path) if reason is None else None
        return End(failures, values)

    def _step(self, plan: Plan, path: str, values: Mapping[str, Any]) -> set[bool]:
        """Interpret a step with all its tries; returns how it failed, if it did."""
        self.plans[path] = plan
        own = plan
        if plan.kind == "each":  # these are its items'
            plan = replace(plan, tries=1, tolerated=False, action=None, undo=(), gate=None)
        if plan.when is False or (isinstance(plan.when, str) and values[plan.when] is None):
            self.states[path] = ("canceled", "condition")
            return set()
        end = self._tries(plan, path, values, own)
        while not end.good and plan.action == "retry":
            end = self._tries(plan, path, values, own)
        self.plans[path] = plan
        if end.good:
            self.states[path] = ("completed", None)
            self.results[path] = end.value
            self.completions[path] += 1
            self.shared[path[: path.rfind(">") + 1]] += plan.counts and plan.kind == "call"
        elif plan.tolerated or plan.action == "skip":
            self.states[path] = ("canceled", "tolerated" if plan.tolerated else "operator")
            return set()
        else:
            self.states[path] = ("failed", None)
        return end.failures

    def _tries(self, plan: Plan, path: str, values: Mapping[str, Any], own: Plan) -> End:
        tries, sent = 0, False
        if plan.gate == "refused":
            self.tries[path], self.attempts[path] = 1, max(self.attempts[path], 1)
            return End({STAYS})
        while True:
            tries += 1
            self.tries[path] = tries
            self.attempts[path] += 1
            end = self._attempt(own, path, values)
            if end.good and plan.gate == "sent back" and not sent:
                sent, tries = True, 0
                self._forget(path)
                continue
            if end.good and plan.gate == "rejected":
                self.worked.add(path)
                end = End({STAYS})
            if end.good or tries >= plan.tries or end.failures == {STAYS}:
                return end
            if len(end.failures) > 1:
                raise Ambiguous
            self._forget(path)

    def _forget(self, path: str) -> None:
        """Forget what is inside a step that is tried again, but not how often it was begun and how often it failed."""
        for table in (self.states, self.results, self.tries, self.plans):
            for inner in [inner for inner in table if inner.startswith(path) and inner[len(path) :][:1] in set("/[#>")]:
                del table[inner]
        self.worked = {
            inner for inner in self.worked if not inner.startswith(path) or inner[len(path) :][:1] not in set("/[#>")
        }

    def _attempt(self, plan: Plan, path: str, values: Mapping[str, Any]) -> End:
        if plan.kind == "call":
            if plan.gate == "call refused":
                return End({STAYS})
            if self.failed[path] < plan.fails:
                self.failed[path] += 1
                return End({STAYS if plan.how == "nojson" else MENDS})
            return End(value=value_of(path[path.rfind(">") + 1 :], plan, _seen(plan, values)))
        if plan.kind == "each":
            inner = replace(plan, kind="call", when=None)
            rounds = range(plan.rounds)
            failures = [self._step(inner, f"{path}[{n}]", values) for n in rounds]
            return End(set[bool]().union(*failures), [self._value(f"{path}[{n}]") for n in rounds])
        if plan.kind in LEAVES:
            return {
                "delay": End(value={}),
                "wait": End(value=self.answers.get(path)),
                "event": End(value={"about": TOPIC}),
                "late": End(value="too late"),
                "tool": End({MENDS}),
            }.get(plan.kind, End({STAYS}))
        if plan.kind == "sub":
            return self.flow(plan, f"{path}>")
        return self._hooks(plan, path, _BODIES[plan.kind](self, plan, path))

    def _value(self, path: str) -> Any:
        return self.results.get(path) if self.states[path] == ("completed", None) else None

    def _hooks(self, plan: Plan, path: str, end: End) -> End:
        """Compensate, then interpret the hooks of a container or workflow."""
        if plan.kind == "saga" and not end.good:
            self._compensate(path)
        chosen = ("on_success", plan.success) if end.good else ("on_failure", plan.failure)
        self._scope(chosen[1], f"{path}#{chosen[0]}/", {})
        last = self._scope(plan.last, f"{path}#finally/", {})
        return last if end.good and not last.good else end

    def _compensate(self, saga: str) -> None:
        for path, plan in list(self.plans.items()):
            inside = path.startswith(saga) and path[len(saga) :][:1] in set("/[")
            if not inside or set(path[len(saga) :]) & set("#>"):
                continue
            state, reason = self.states[path]
            if not plan.undo or reason in _UNDONE or (state != "completed" and path not in self.worked):
                continue
            one = f"{path}#compensate" if len(plan.undo) == 1 else None
            end = self._scope(plan.undo, f"{path}#compensate/", {}, one)
            self.states[path] = (state, "compensated" if end.good else "compensation_failed")

    # bodies

    def _group(self, plan: Plan, path: str) -> End:
        return self._scope(plan.body, f"{path}/", {})

    def _branch(self, plan: Plan, path: str) -> End:
        chosen = bool(plan.rounds % 2)
        names = ("if_true", "if_false") if plan.kind == "condition" else ("case[1]", "default")
        name, body = (names[0], plan.body) if chosen else (names[1], plan.other)
        if not body:
            return End()
        values: dict[str, Any] = {}
        lone = len(body) == 1 and (plan.kind == "condition" or not chosen)
        end = self._scope(body, f"{path}/{name}/", values, f"{path}/{name}" if lone else None)
        return End(end.failures, values[body[0].id] if lone else values)

    def _items(self, plan: Plan, path: str) -> End:
        return self._rounds(plan, path, lambda n, _: n + 1 < plan.rounds, least=min(plan.rounds, 1))

    def _recur(self, plan: Plan, path: str) -> End:
        return self._rounds(plan, path, lambda n, _: n + 1 < plan.limit)

    def _schedule(self, plan: Plan, path: str) -> End:
        end = self._group(plan, path)
        return End(end.failures, [end.value])

    def _while(self, plan: Plan, path: str) -> End:
        first = plan.body[0].id
        asked = int(plan.kind == "while")  # it is asked before an iteration, for that one's number
        end = self._rounds(
            plan, path, lambda n, values: values[first] is None or n + asked < plan.rounds, most=plan.limit
        )
        return End(end.failures, end.value[-1])

    def _rounds(
        self, plan: Plan, path: str, more: Callable[[int, Any], bool], *, least: int = 1, most: int | None = None
    ) -> End:
        """Interpret iterations, as long as there are to be more; `most` of them is a failure."""
        values: list[Any] = []
        failures: set[bool] = set()
        number = 0
        going = least > 0
        while going:
            end = self._scope(plan.body, f"{path}[{number}]/", {})
            values.append(end.value)
            together = plan.kind == "for_each" and not plan.chain
            if together or not failures:
                failures |= end.failures
            if failures and plan.siblings != "continue":
                break
            going = more(number, end.value)
            number += 1
            if going and number == most:
                return End({STAYS}, values)
        return End(failures, values)


_UNDONE = ("compensated", "compensation_failed")


def _seen(plan: Plan, values: Mapping[str, Any]) -> Any:
    if plan.sees is None:
        return None
    return CHANGED if plan.gate == "edited" else values[plan.sees]


def _ready(plan: Plan, plans: Sequence[Plan], ended: Mapping[str, str]) -> bool:
    """Tell whether a step's dependencies let it begin."""
    if any(ended.get(name, "failed") == "failed" for name in edges(plans)[plan.id]):
        return False
    if not plan.any_of:
        return True
    states = [ended.get(name) for name in plan.any_of]
    return "completed" in states or (None not in states and "canceled" in states)


_BODIES: Mapping[str, Callable[[Oracle, Plan, str], End]] = {
    "sequence": Oracle._group,  # pyright: ignore[reportPrivateUsage]  its own module
    "parallel": Oracle._group,  # pyright: ignore[reportPrivateUsage]  its own module
    "saga": Oracle._group,  # pyright: ignore[reportPrivateUsage]  its own module
    "condition": Oracle._branch,  # pyright: ignore[reportPrivateUsage]  its own module
    "switch": Oracle._branch,  # pyright: ignore[reportPrivateUsage]  its own module
    "for_each": Oracle._items,  # pyright: ignore[reportPrivateUsage]  its own module
    "while": Oracle._while,  # pyright: ignore[reportPrivateUsage]  its own module
    "until": Oracle._while,  # pyright: ignore[reportPrivateUsage]  its own module
    "recur": Oracle._recur,  # pyright: ignore[reportPrivateUsage]  its own module
    "schedule": Oracle._schedule,  # pyright: ignore[reportPrivateUsage]  its own module
}
