"""What the steps of a run have used, those inside of others and of child runs included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from agentflow.data import salvaged
from agentflow.definition.models import Workflow
from agentflow.engine.decided import salvaged_of
from agentflow.store.rows import TERMINAL, RunQuery, RunRow, StepRow
from agentflow.usage import NOTHING, Usage, usage_of

if TYPE_CHECKING:
    from agentflow.store.contract import Readable

_CHILDREN = 10_000


async def by_step(store: Readable, run: RunRow, steps: list[StepRow]) -> dict[str, Usage]:
    """Return what each step of a run has used, by address: a step that holds others what these have, too."""
    if run.usage is None:
        return {}
    found: dict[str, Usage] = {}
    for row in await store.usage(run.root):
        if row.run == run.run:
            _add(found, row.step, row.usage)
    addresses = {step.n: step.address for step in steps}
    for child in await store.list_runs(RunQuery(parent=run.id, limit=_CHILDREN)):
        if child.usage is not None and child.parent_step is not None:
            _add(found, addresses.get(child.parent_step, ""), used_by(child))
    return found


class Limit(NamedTuple):
    """How much of a budget is used."""

    kind: str
    used: Any
    limit: Any


def budget_of(workflow: Workflow, run: RunRow, now: float) -> list[Limit]:
    """Return how much of its budget a run that hasn't ended has used; as JSON says amounts."""
    budget = workflow.budget
    if budget is None or run.state in TERMINAL:
        return []
    from agentflow.engine.plan.budget_state import original  # noqa: PLC0415  few runs have a budget
    from agentflow.engine.plan.budget_texts import data_of  # noqa: PLC0415

    kept = salvaged_of(run.memo).budget or {}
    used = used_by(run)
    since = kept.get("since")
    amounts: dict[str, float] = {
        "cost": used.parts, "tokens": used.tokens, "steps": kept.get("steps", 0),
        "time": kept.get("worked", 0.0) + (now - since if since is not None else 0.0),
    }  # fmt: skip
    found: list[Limit] = []
    for kind, amount in amounts.items():
        limit = kept.get("raised", {}).get(kind, original(budget, kind))
        if limit is not None:
            found.append(Limit(kind, data_of(kind, amount), data_of(kind, limit)))
    return found


def used_by(run: RunRow) -> Usage:
    """Return what a run has used, and the runs below it."""
    return NOTHING if run.usage is None else usage_of(salvaged(run.usage))


def _add(found: dict[str, Usage], address: str, used: Usage) -> None:
    for each in _with_above(address):
        found[each] = found.get(each, NOTHING) + used


def _with_above(address: str) -> Iterator[str]:
    while address:
        yield address
        address = address[: max(address.rfind("/"), address.rfind("["), address.rfind("#"), 0)]
