"""Tells whether a step may begin within the budgets above it: of what is used, reserved, and expected.

Who only waits for a slot of a key makes no room for others: the slot may be that of a container which they stand in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from agentflow.engine.plan.budget_state import KINDS, budgets_over, limit_of, used_of
from agentflow.engine.plan.budget_texts import Over
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.spending import bare
from agentflow.engine.plan.state import RunState
from agentflow.engine.plan.treasury import Expected, Reserve, Treasury
from agentflow.usage import cost_of

Verdict: TypeAlias = Over | Literal["busy", "stuck"] | None
"""What keeps a step from beginning: a budget that only a person can raise; others at work, who may make room; or only
others that wait for slots of their keys and haven't begun. None: nothing."""


class Sums(NamedTuple):
    """What is reserved in a run with a budget."""

    cost: int = 0
    tokens: int = 0
    steps: int = 0
    """Attempts that haven't begun."""
    begun: int = 0
    """Attempts that have."""
    moving: int = 0
    """How many of both don't wait for a slot of their key."""


def sums_of(treasury: Treasury) -> dict[int, Sums]:
    """Return what is reserved, by the run that has the budget."""
    sums: dict[int, Sums] = {}
    for reserve in treasury.admitted.values():
        add(sums, reserve)
    return sums


def add(sums: dict[int, Sums], reserve: Reserve) -> None:
    """Count in what is reserved for an attempt."""
    run: RunState = reserve.run
    node, spending, expected = reserve.node, run.tree.spending, reserve.expected
    told = spending.of_attempt(run.key, node.n, reserve.attempt) if spending is not None else None
    cost = max(expected.cost - (told.parts if told is not None else 0), 0)
    tokens = max(expected.tokens - (told.tokens if told is not None else 0), 0)
    begun, moving = int(reserve.has_begun), int(not reserve.queues)
    for holder, _ in budgets_over(run):
        before = sums.get(holder.key, Sums())
        sums[holder.key] = Sums(
            before.cost + cost, before.tokens + tokens, before.steps + 1 - begun, before.begun + begun,
            before.moving + moving,
        )  # fmt: skip


def release(treasury: Treasury) -> None:
    """Give back what is reserved for attempts that wait for slots before they begin: they are judged with the slot."""
    for key, reserve in list(treasury.admitted.items()):
        if reserve.queues and not reserve.has_begun:
            del treasury.admitted[key]


def judged(run: RunState, node: Node, expected: Expected, treasury: Treasury, sums: Mapping[int, Sums]) -> Verdict:
    """Tell what keeps a step from beginning now."""
    busy = stuck = False
    for holder, budget in budgets_over(run):
        reserved = sums.get(holder.key, Sums())
        for kind in KINDS:
            limit = limit_of(holder, budget, kind)
            if limit is None or (kind in {"cost", "tokens"} and not spends(run, node)):
                continue
            used = used_of(holder, kind) + (reserved.begun if kind == "steps" else 0)
            more: float = 1 if kind == "steps" else 0 if kind == "time" else getattr(expected, kind)
            if used >= limit or used + more > limit:
                return Over(holder, kind, used, limit, more)
            others: float = 0 if kind == "time" else getattr(reserved, kind)
            if others > 0 and (used + others >= limit or used + others + more > limit):
                if not reserved.moving and not _unbegun(treasury):
                    return Over(holder, kind, used, limit, more, others)
                busy, stuck = busy or reserved.moving > 0, True
            if kind in {"cost", "tokens"} and not expected.known:
                busy = busy or _another(expected, treasury, queues=False)
                stuck = stuck or (not busy and _another(expected, treasury, queues=True))
    return "busy" if busy else "stuck" if stuck else None


def _another(expected: Expected, treasury: Treasury, *, queues: bool) -> bool:
    """Tell whether the first attempt of the same step is at work: how much it uses is known when it is over.

    One that waits for a slot in its middle is waited for by nobody.
    """
    return any(
        each.expected.step == expected.step and each.queues is queues and not (queues and each.has_begun)
        for each in treasury.admitted.values()
    )


def _unbegun(treasury: Treasury) -> bool:
    """Tell whether anything can be released."""
    return any(each.queues and not each.has_begun for each in treasury.admitted.values())


def concerned(run: RunState, node: Node) -> bool:
    """Tell whether a budget limits what a step uses."""
    return any(
        budget.steps is not None or budget.time is not None or spends(run, node) for _, budget in budgets_over(run)
    )


def spends(run: RunState, node: Node) -> bool:
    """Tell whether a step may spend money or tokens: its type does, its author says so, or it has."""
    if node.program.spec.spends or node.program.step.estimate is not None:
        return True
    spending = run.tree.spending
    return spending is not None and spending.most(run.row.workflow, node.address) is not None


def expected_of(run: RunState, node: Node, treasury: Treasury) -> Expected:
    """Return what an attempt is expected to use: what its author says, or the most that one has used: the larger."""
    step = bare(run.row.workflow, node.address)
    spending, estimate = run.tree.spending, node.program.step.estimate
    most = spending.most(run.row.workflow, node.address) if spending is not None else None
    cost, tokens = most or (0, 0)
    if estimate is not None:
        cost, tokens = max(cost, cost_of(estimate.cost or 0)), max(tokens, estimate.tokens or 0)
    known = most is not None or estimate is not None or step in treasury.silent or not spends(run, node)
    return Expected(cost, tokens, known, step)
