"""What is said of a budget that is spent, and what is read of the answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from agentflow.definition.durations import parse_duration
from agentflow.engine.plan.budget_state import limit_of, original
from agentflow.engine.plan.state import RunState
from agentflow.errors import Failure
from agentflow.steps.contract import Wait
from agentflow.usage import MOST_COST, cost_of, text_of

_AMOUNTS: dict[str, Any] = {
    "cost": {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": MOST_COST},
            {"type": "string", "pattern": r"^\d+(\.\d+)?$"},
        ]
    },
    "tokens": {"type": "integer", "minimum": 0},
    "steps": {"type": "integer", "minimum": 0},
    "time": {"type": "number", "minimum": 0},
}
"""Schemas of new limits; a time is in seconds."""


class Over(NamedTuple):
    """A step would use more than a budget allows."""

    holder: RunState
    """The run that has the budget."""
    kind: str
    used: float
    limit: float
    more: float
    """What the step is expected to use."""
    others: float = 0
    """What is reserved for attempts that can't go on before it does."""


def question(over: Over, address: str, currency: str) -> Wait:
    """Return what an operator is asked."""
    kind = over.kind
    used, limit = said(kind, over.used, currency), said(kind, over.limit, currency)
    message = (
        f'Workflow "{over.holder.row.workflow}" has used {used} of its budget of {limit}; step "{address}" is next'
    )
    if over.more and over.used < over.limit:
        message += f", and is expected to use {said(kind, over.more, currency)}"
    if over.others:
        message += f"; {said(kind, over.others, currency)} are reserved for steps in their middle that wait for slots"
    budget = over.holder.program.workflow.budget
    kinds = [name for name in _AMOUNTS if getattr(budget, name, None) is not None]
    schema = {
        "type": "object",
        "properties": {
            "action": {"type": "string", "enum": ["raise", "stop"]},
            **{name: _new_limit(name, over, budget) for name in kinds},
        },
        "required": ["action"],
        "additionalProperties": False,
    }
    details = {
        "budget": {
            "of": kind, "used": data_of(kind, over.used), "limit": data_of(kind, over.limit),
            "expected": data_of(kind, over.more),
        },
        "human_only": True,
    }  # fmt: skip
    return Wait("operator", message, schema, details=details)


def _new_limit(kind: str, over: Over, budget: Any) -> dict[str, Any]:
    """Return the schema of a new limit; its example is one to go on with: by as much again, or what it is now."""
    limit = limit_of(over.holder, budget, kind) or 0
    if kind == over.kind:
        limit = max(limit, over.used + over.more + over.others) + (original(budget, kind) or 0)
    return {"description": f"The new limit of {kind}", **_AMOUNTS[kind], "examples": [data_of(kind, limit)]}


def stopped(holder: RunState, kind: str, address: str, why: str, currency: str) -> Failure:
    """Return the failure of a run that was stopped at its budget."""
    budget = holder.program.workflow.budget
    limit = amount_of(kind, getattr(budget, kind, None))
    message = f'the run was stopped before step "{address}": its budget of {said(kind, limit or 0, currency)} is spent'
    return Failure(
        "AF-BUDGET-STOPPED", message + (f": {why}" if why else ""), kind="wait", retryable=False, step=address,
        hint=f"raise the workflow's budget.{kind}, and retry the run from this step",
    )  # fmt: skip


def amount_of(kind: str, value: object) -> float | None:
    """Return a limit as it counts (a cost in trillionths); None where there is none."""
    if value is None:
        return None
    try:
        if kind == "cost":
            return cost_of(value)
        return parse_duration(value) if kind == "time" else int(str(value))
    except ValueError:  # a text of too large a number
        return None


def data_of(kind: str, amount: float) -> Any:
    """Return an amount as JSON says it."""
    return text_of(int(amount)) if kind == "cost" else round(amount, 3) if kind == "time" else int(amount)


def said(kind: str, amount: float, currency: str) -> str:
    """Return an amount for people."""
    if kind == "cost":
        return f"{text_of(int(amount))} {currency}"
    return f"{amount:g} s" if kind == "time" else f"{int(amount):,} {kind}"
