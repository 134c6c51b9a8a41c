"""What a run with a budget has used of it, and how far it goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentflow.data import is_object
from agentflow.definition.budget import Budget
from agentflow.engine.plan.state import RunState
from agentflow.errors import Failure
from agentflow.store.rows import State
from agentflow.usage import cost_of

KINDS = ("cost", "tokens", "steps", "time")


def budgets_over(run: RunState) -> Iterator[tuple[RunState, Budget]]:
    """Yield the budgets that a run's steps use: its own, and those of the runs above."""
    current: RunState | None = run
    while current is not None:
        budget = current.program.workflow.budget
        if budget is not None:
            yield current, budget
        current = current.parent_run


def limit_of(run: RunState, budget: Budget, kind: str) -> float | None:
    """Return how much a budget allows now (a cost in trillionths); None: as much as may be."""
    raised = _kept(run).get("raised", {}).get(kind)
    return raised if raised is not None else original(budget, kind)


def original(budget: Budget, kind: str) -> float | None:
    """Return how much a budget allows before anybody raises it."""
    said = getattr(budget, kind)
    return cost_of(said) if kind == "cost" and said is not None else said


def used_of(run: RunState, kind: str) -> float:
    """Return how much of a budget was used; of steps, the attempts that are over."""
    if kind == "cost":
        return run.used.parts
    if kind == "tokens":
        return run.used.tokens
    kept = _kept(run)
    if kind == "steps":
        return kept.get("steps", 0)
    since = kept.get("since")
    running = run.tree.env.moment - since if since is not None else 0.0
    return kept.get("worked", 0.0) + max(running, 0.0)


def begin(run: RunState) -> None:
    """Note when a run's time begins to count."""
    budget = run.program.workflow.budget
    if budget is not None and budget.time is not None and "worked" not in _kept(run):
        _keep(run, worked=0.0, since=run.row.created_at if run.state == "working" else None)


def ended(run: RunState) -> None:
    """An attempt of a step is over."""
    for holder, budget in budgets_over(run):
        if budget.steps is not None and not holder.ended:
            _keep(holder, steps=_kept(holder).get("steps", 0) + 1)


def turned(run: RunState, state: State) -> None:
    """A run begins to wait for answers, or goes on: its time counts while it does."""
    budget = run.program.workflow.budget
    if budget is None or budget.time is None:
        return
    if state == "working":
        _keep(run, since=run.tree.env.moment)
    elif _kept(run).get("since") is not None:
        _keep(run, worked=used_of(run, "time"), since=None)


def raise_to(run: RunState, limits: dict[str, float]) -> None:
    """Let a budget go further."""
    _keep(run, raised={**_kept(run).get("raised", {}), **limits})


def stop(run: RunState, failure: Failure) -> None:
    """Note that an operator has stopped a run: no step of it tells that."""
    _keep(run, stopped=failure.to_data())


def stopped(run: RunState) -> Failure | None:
    """Return what a run was stopped with."""
    told = _kept(run).get("stopped")
    return Failure.from_data(told) if is_object(told) else None


def _kept(run: RunState) -> dict[str, Any]:
    return run.root.decided.budget or {}


def _keep(run: RunState, **more: Any) -> None:
    root = run.root
    root.decided = root.decided._replace(budget={**_kept(run), **more})
    run.save(root, memo=True)
