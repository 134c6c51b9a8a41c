"""Takes in what an attempt tells of usage: summed exactly, and stored with what it belongs to."""

from __future__ import annotations

from dataclasses import replace

from agentflow.data import encode
from agentflow.engine.plan.spending import Spending
from agentflow.engine.plan.state import RunState
from agentflow.store.usage_rows import UsageRow, Used
from agentflow.usage import Models, Usage


def spent(run: RunState, address: str, of: tuple[int, int, int], models: Models) -> None:
    """An attempt has told what it has used until now: it is counted once, in its run and in those above."""
    spending = run.tree.spending
    if spending is None:
        spending = run.tree.spending = Spending()
    rows: list[UsageRow] = []
    currency = run.tree.env.currency
    new = Usage(currency=currency)
    for model, used in models.items():
        more = spending.tell(run.key, run.row.workflow, address, of, model, used)
        if more is not None:
            new = new + more
            rows.append(UsageRow(*of, model, run.tree.env.moment, replace(used, currency=currency)))
    if not rows:
        return
    current: RunState | None = run
    while current is not None:
        current.used = current.used + new
        change = current.changes()
        before = change.used.rows if change.used is not None else ()
        change.used = Used(encode(current.used.data), [*before, *rows] if current is run else before)
        current = current.parent_run
