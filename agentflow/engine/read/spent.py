"""What the steps of a run have used, those inside of others and of child runs included."""

from __future__ import annotations

from collections.abc import Iterator

from agentflow.data import salvaged
from agentflow.store.contract import Store
from agentflow.store.rows import RunQuery, RunRow, StepRow
from agentflow.usage import NOTHING, Usage, usage_of

_CHILDREN = 10_000


async def by_step(store: Store, run: RunRow, steps: list[StepRow]) -> dict[str, Usage]:
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
