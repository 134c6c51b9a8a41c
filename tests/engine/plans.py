"""Random workflows: short descriptions of steps, how hypothesis makes them, and the definitions they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from itertools import count
from typing import Any

from hypothesis import strategies as st

from agentflow.definition.budget import Budget
from agentflow.definition.models import (
    Concurrency,
    Defaults,
    ForEachField,
    OnErrorSiblings,
    RetryPolicy,
    Step,
    Workflow,
)
from agentflow.steps import (
    condition,
    delay,
    external_tool_call,
    for_each,
    parallel,
    recur,
    saga,
    schedule,
    sequence,
    switch,
    until,
    wait_for_event,
    wait_for_input,
    while_,
)
from agentflow.steps import workflow as sub
from agentflow.steps.building import Common

Call = Callable[..., Step]
"""Makes a step that calls a function: id, its plan, common fields."""
TOPIC = "go"
TEXT = {"type": "string"}
STOPPED = "stopped"
BUDGETS: dict[str, dict[str, Any]] = {
    "steps": {"steps": 2},
    "cost": {"cost": "0.000005"},
    "tokens": {"tokens": 3},
    STOPPED: {"steps": 3},
}
"""They are raised by as much again whenever they are spent; the last one stops the run."""
RAISED = ("steps", "cost", "tokens")
KEYS = (2, 1, 2)
"""Limits of the concurrency keys by how deep their steps stand: all ask in this order, so none waits for ever."""


@dataclass(frozen=True, repr=False)
class Plan:
    """One step of a random workflow. Its text tells only what isn't usual."""

    id: str
    kind: str = "call"
    depends: tuple[str, ...] = ()
    """Explicit dependencies; none, nor `any_of`: the implicit order counts."""
    any_of: tuple[str, ...] = ()
    parallel: bool = False
    when: bool | str | None = None
    """Its condition: a constant, or the id of a step before it whose result mustn't be null."""
    sees: str | None = None
    """A step before it whose result is part of its own."""
    fails: int = 0
    """How often it fails before it succeeds."""
    how: str = "raise"
    """What it does to fail."""
    tries: int = 1
    tolerated: bool = False
    action: str | None = None
    """It suspends after its last try, and this is what its operator says."""
    pause: bool = False
    """Has a `delay`."""
    counts: bool = False
    """Adds one to a shared key."""
    rounds: int = 2
    """Of a loop: its items, or the iterations that its condition asks for."""
    limit: int = 3
    """Of a loop: `max_iterations`."""
    body: tuple[Plan, ...] = ()
    other: tuple[Plan, ...] = ()
    """The second branch."""
    chain: bool = False
    """The steps inside come one after the other."""
    siblings: OnErrorSiblings = "continue"
    undo: tuple[Plan, ...] = ()
    """Its compensation."""
    success: tuple[Plan, ...] = ()
    failure: tuple[Plan, ...] = ()
    last: tuple[Plan, ...] = ()
    """`finally`."""
    key: int | None = None
    """Which of `KEYS` it needs."""
    bare: bool = True
    """Of a sub-workflow: it has no `output`."""
    gate: str | None = None
    """Which of `GATES` it has."""
    budget: str | None = None
    """Of a workflow: which of `BUDGETS` it has."""

    def __repr__(self) -> str:
        """Name the fields that aren't usual."""
        told = [repr(self.id)]
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if field.default is MISSING or value != field.default:
                told.append(f"{field.name}={value!r}")
        return f"Plan({', '.join(told)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Let hypothesis print it as `repr` does."""
        printer.text(repr(self))


GATES: dict[str, Common] = {
    "approved": {"approve": "yes"},
    "refused": {"approve": "no"},
    "approved each time": {"approve": {"message": "yes", "each_attempt": True}},
    "edited": {"approve": {"message": "edit", "edit": {"seen": {"title": "What it sees"}}}},
    "accepted": {"review": "yes"},
    "rejected": {"review": "no"},
    "sent back": {"review": "back"},
    "call approved": {},
    "call refused": {},
}
"""What is asked is what is answered; of the last ones a tool asks that the step calls."""
OF_CALLS = {"edited": "approved", "call approved": None, "call refused": None}
"""Gates that only steps have that call a function, and what others have instead."""
CHANGED = "edited"
"""What who approves changes what a step sees to."""
REFUSING = ("refused", "rejected", "call refused")
LEAVES = ("call", "call", "call", "call", "each", "delay", "wait", "decline", "late", "missed", "tool", "event")
GROUPS = ("sequence", "parallel", "saga", "condition", "switch")
LOOPS = ("for_each", "while", "until", "recur", "schedule")
FAILURES = ("raise", "raise", "raise", "base", "exit", "recursion", "cancelled", "nojson")
"""`nojson` is the one that isn't worth a second try."""


def edges(plans: Sequence[Plan]) -> dict[str, tuple[str, ...]]:
    """Return what each step of a scope waits for, by the rules of order; `depends_on_any` apart."""
    found: dict[str, tuple[str, ...]] = {}
    block: int | None = None
    for position, plan in enumerate(plans):
        earlier = tuple(other.id for other in plans[:position])
        if plan.depends or plan.any_of:
            found[plan.id] = plan.depends
        elif plan.parallel:
            block = position if block is None else block
            found[plan.id] = earlier[:block]
        else:
            found[plan.id] = earlier
            block = None
    return found


# how hypothesis makes them


@st.composite
def calls(draw: st.DrawFn, prefix: str, most: int = 2) -> tuple[Plan, ...]:
    """Make a few plain steps: a hook's, or a compensation's."""
    found = range(draw(st.integers(0, most)))
    fails, tries = st.sampled_from((0, 0, 0, 1, 2)), st.sampled_from((1, 1, 2, 3))
    return tuple(Plan(f"{prefix}{n}", fails=draw(fails), tries=draw(tries)) for n in found)


@st.composite
def scopes(draw: st.DrawFn, depth: int = 0, *, chain: bool = False, prefix: str = "s") -> tuple[Plan, ...]:
    """Make the steps of a scope."""
    plans: list[Plan] = []
    for number in range(draw(st.integers(1, 5 if depth == 0 else 3))):
        plan = draw(_steps(f"{prefix}{number}", depth))
        if plans and not chain:
            names = st.lists(st.sampled_from([other.id for other in plans]), unique=True, max_size=3)
            how = draw(st.sampled_from(("order", "order", "depends", "any", "both")))
            plan = replace(
                plan,
                depends=tuple(draw(names)) if how in {"depends", "both"} else (),
                any_of=tuple(draw(names)) if how in {"any", "both"} else (),
                parallel=draw(st.booleans()),
            )
        before = edges([*plans, plan])[plan.id]
        if before:
            sees = draw(st.sampled_from((None, *before))) if plan.kind in {"call", "each"} else None
            when = draw(st.sampled_from((None, None, None, True, False, before[-1])))
            plan = replace(plan, sees=sees, when=when)
        plans.append(plan)
    return tuple(plans)


@st.composite
def _steps(draw: st.DrawFn, name: str, depth: int) -> Plan:
    kinds = (*LEAVES, *GROUPS, *LOOPS, "sub") if depth < 2 else LEAVES
    kind = draw(st.sampled_from(kinds))
    plan = Plan(
        name,
        kind,
        tolerated=draw(st.sampled_from((False, False, True))),
        pause=draw(st.sampled_from((False, False, False, True))),
        key=draw(st.sampled_from((None, None, depth))),
        undo=draw(calls("u")) if draw(st.booleans()) else (),
        gate=draw(st.sampled_from((*([None] * 9), *GATES))),
    )
    if plan.gate in OF_CALLS and kind not in {"call", "each"}:
        plan = replace(plan, gate=OF_CALLS[plan.gate])
    if kind in {"call", "each"}:
        actions: tuple[str | None, ...] = (None, None, None, "retry", "skip", "fail")
        if plan.gate in REFUSING:  # retrying it would ask for ever
            actions = (None,)
        return replace(
            plan,
            fails=draw(st.sampled_from((0, 0, 0, 1, 2, 3))),
            how=draw(st.sampled_from(FAILURES)),
            tries=draw(st.sampled_from((1, 2, 3))),
            action=draw(st.sampled_from(actions)) if not plan.tolerated else None,
            counts=draw(st.booleans()),
            rounds=draw(st.integers(0, 3)),
        )
    if kind in LEAVES:
        return replace(plan, tries=draw(st.sampled_from((1, 1, 2))))
    chain = kind == "sequence" or draw(st.booleans())
    plan = replace(
        plan,
        chain=chain,
        siblings=draw(st.sampled_from(("continue", "finish", "cancel"))) if chain else "continue",
        tries=draw(st.sampled_from((1, 1, 2))),
        body=draw(scopes(depth + 1, chain=chain)),
        rounds=draw(st.integers(0, 3)),
        limit=draw(st.integers(1, 3)),
    )
    if kind in {"condition", "switch"}:
        plan = replace(plan, other=draw(scopes(depth + 1, chain=chain, prefix="o")) if draw(st.booleans()) else ())
    if kind != "sub" and draw(st.sampled_from((False, False, True))):
        plan = replace(plan, success=draw(calls("h")), failure=draw(calls("h")), last=draw(calls("h")))
    budget = draw(st.sampled_from((None, None, None, *RAISED))) if kind == "sub" else None
    return replace(plan, bare=draw(st.booleans()), budget=budget)


@st.composite
def flows(draw: st.DrawFn, *, racing: bool = False) -> Plan:
    """Make a whole workflow, as the plan of its root."""
    chain = draw(st.booleans()) and not racing
    body = draw(scopes(chain=chain))
    hooks = draw(st.sampled_from((False, False, True)))
    siblings = draw(st.sampled_from(("continue", "finish", "cancel"))) if chain or racing else "continue"
    budget = draw(st.sampled_from((None, None, None, *(BUDGETS if racing else RAISED))))
    body = _keyed(body) if budget is not None and draw(st.booleans()) else body
    return Plan(
        "main",
        "flow",
        body=_racing(body, siblings) if racing else body,
        chain=chain,
        siblings=siblings,
        success=draw(calls("h")) if hooks else (),
        failure=draw(calls("h")) if hooks else (),
        last=draw(calls("h")) if hooks else (),
        bare=draw(st.booleans()),
        budget=budget,
    )


def _keyed(plans: Sequence[Plan], depth: int = 0) -> tuple[Plan, ...]:
    """Give every step a key: who waits for slots and for a budget as well is rare otherwise."""
    return tuple(
        replace(plan, key=depth, body=_keyed(plan.body, depth + 1), other=_keyed(plan.other, depth + 1))
        for plan in plans
    )


def _racing(plans: Sequence[Plan], siblings: OnErrorSiblings) -> tuple[Plan, ...]:
    """Give every container a policy under which it counts who is first."""
    return tuple(
        replace(plan, siblings=siblings, body=_racing(plan.body, siblings), other=_racing(plan.other, siblings))
        for plan in plans
    )


# the definitions they stand for


class Builder:
    """Turns plans into workflows."""

    def __init__(self, call: Call) -> None:
        """Build with `call` for steps that call a function."""
        self._call = call
        self._numbers = count(1)
        self.flows: list[Workflow] = []

    def flow(self, plan: Plan, name: str) -> Workflow:
        """Build a workflow, after those that it calls."""
        last = plan.body[-1].id
        made = Workflow(
            id=name,
            steps=[self._step(child) for child in plan.body],
            context={"n": {"default": 0, "reducer": "add"}},
            defaults=Defaults(on_error_siblings="continue"),
            execution="sequential",
            on_error_siblings=plan.siblings,
            on_success=[self._step(step) for step in plan.success],
            on_failure=[self._step(step) for step in plan.failure],
            finally_=[self._step(step) for step in plan.last],
            budget=Budget(**BUDGETS[plan.budget]) if plan.budget is not None else None,
            output=None if plan.bare else {"n": "{context.n}", "last": f"{{steps.{last}?}}"},
        )
        self.flows.append(made)
        return made

    def _common(self, plan: Plan) -> Common:
        common: Common = {"execution": "parallel" if plan.parallel else "sequential"}
        if plan.depends:
            common["depends_on"] = plan.depends
        if plan.any_of:
            common["depends_on_any"] = plan.any_of
        if plan.when is not None:
            common["if_"] = plan.when if isinstance(plan.when, bool) else f"steps.{plan.when} != null"
        if plan.tolerated or plan.action:
            common["on_error"] = "continue" if plan.tolerated else "suspend"
        if plan.pause:
            common["delay"] = "2s"
        if plan.key is not None:
            common["concurrency"] = Concurrency(key=f"k{plan.key}", limit=KEYS[plan.key])
        if plan.undo:
            undo = [self._step(step) for step in plan.undo]
            common["compensate"] = undo[0] if len(undo) == 1 else undo
        if plan.gate is not None:
            gate = "approved" if plan.gate == "edited" and not plan.sees else plan.gate
            common.update(GATES[gate])
        if plan.tries > 1:
            common["retry"] = RetryPolicy(max_attempts=plan.tries, base=1.0)
        return common

    def _step(self, plan: Plan) -> Step:
        common = self._common(plan)
        if plan.kind in {"call", "each"}:
            if plan.counts:
                common["update"] = {"n": 1}
            if plan.kind == "each":
                common["for_each"] = ForEachField(in_=list(range(plan.rounds)))
            return self._call(plan, input={"seen": f"{{steps.{plan.sees}?}}"} if plan.sees else {}, **common)
        if plan.kind in LEAVES:
            return self._leaf(plan, common)
        if plan.kind == "sub":
            return sub(plan.id, workflow=self.flow(plan, f"w{next(self._numbers)}").id, **common)
        common["on_error_siblings"] = plan.siblings
        common["on_success"] = [self._step(step) for step in plan.success]
        common["on_failure"] = [self._step(step) for step in plan.failure]
        common["finally_"] = [self._step(step) for step in plan.last]
        return self._container(plan, common)

    def _leaf(self, plan: Plan, common: Common) -> Step:
        if plan.kind == "delay":
            return delay(plan.id, for_="3s", **common)
        if plan.kind == "event":
            return wait_for_event(plan.id, topic=TOPIC, **common)
        if plan.kind == "tool":
            return external_tool_call(plan.id, tool_name="tool", message="tool", **common)
        if plan.kind == "late":
            return wait_for_input(plan.id, message="late", default="too late", **{**common, "timeout": "7s"})
        if plan.kind == "missed":
            return wait_for_input(plan.id, message="missed", **{**common, "timeout": "7s"})
        return wait_for_input(plan.id, message=plan.kind, schema=TEXT, **common)

    def _container(self, plan: Plan, common: Common) -> Step:
        body = [self._step(child) for child in plan.body]
        other = single([self._step(child) for child in plan.other]) if plan.other else None
        first = plan.body[0].id
        if plan.kind == "condition":
            return condition(plan.id, expression=bool(plan.rounds % 2), if_true=single(body), if_false=other, **common)
        if plan.kind == "switch":
            cases = [(False, [self._step(Plan("never"))]), (bool(plan.rounds % 2), body)]
            return switch(plan.id, cases=cases, default=other, **common)
        if plan.kind == "for_each":
            if plan.chain:
                common["max_parallel"] = 1
            return for_each(plan.id, in_=list(range(plan.rounds)), steps=body, **common)
        if plan.kind == "while":
            more = f"steps.{first} == null || index < {plan.rounds}"
            return while_(plan.id, condition=more, steps=body, max_iterations=plan.limit, **common)
        if plan.kind == "until":
            enough = f"steps.{first} != null && index >= {plan.rounds}"
            return until(plan.id, condition=enough, steps=body, max_iterations=plan.limit, **common)
        if plan.kind == "recur":
            return recur(plan.id, steps=body, interval="4s", max=plan.limit, **common)
        if plan.kind == "schedule":
            return schedule(plan.id, steps=body, after="4s", **common)
        return {"sequence": sequence, "parallel": parallel, "saga": saga}[plan.kind](plan.id, steps=body, **common)


def single(steps: list[Step]) -> Step | list[Step]:
    """Return a list of one step as the step: bodies of that kind give its result, and not a map."""
    return steps[0] if len(steps) == 1 else steps
