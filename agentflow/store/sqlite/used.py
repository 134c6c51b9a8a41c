"""What steps have used, in tables."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import apsw

from agentflow.store.rows import RunChange
from agentflow.store.sqlite import statements as sql
from agentflow.store.sqlite.sql import rows
from agentflow.store.usage_rows import UsageQuery, UsageSum, UsageView
from agentflow.usage import Usage

_VIEW = """
SELECT u.run, r.id, h.workflow, coalesce(s.address, ''), u.n, u.attempt, u.entry, u.model, u.at,
  u.calls, u.input, u.output, u.cached, u.cost, u.unpriced, u.currency
FROM usage u JOIN runs r ON r.key = u.run JOIN heads h ON h.key = u.run LEFT JOIN steps s ON s.key = u.run << 32 | u.n
WHERE u.root = ? ORDER BY u.run, u.n, u.attempt, u.entry, u.model
"""
_MILLION = 10**6
# A sum of trillionths may be more than an integer holds: its digits are summed in two parts.
_SUMS = f"""
SELECT {{name}}, count(DISTINCT u.root), sum(u.calls), sum(u.input), sum(u.output), sum(u.cached),
  sum(u.cost / {_MILLION}), sum(u.cost % {_MILLION}), sum(u.unpriced), u.currency
FROM usage u JOIN heads h ON h.key = u.root
WHERE (?1 IS NULL OR (h.owner = ?1 AND h.tenant = ?2)) AND (?3 IS NULL OR h.agent IN (?3, '')) AND u.at >= ?4
GROUP BY 1, u.currency
"""  # noqa: S608  constants
_NAMES = {"workflow": "h.workflow", "owner": "h.owner", "model": "u.model"}


def keep(change: RunChange, root: int, rare: MutableMapping[str, list[tuple[Any, ...]]]) -> None:
    """Write what a change says of usage."""
    run, used = change.run, change.used
    if used is None:
        return
    rare[sql.KEEP_USED].append((used.total, run))
    for row in used.rows:
        place = (run, row.n, row.attempt, row.entry, row.model, row.at)
        rare[sql.KEEP_USAGE].append((*place, *row.usage.stored.row, root, row.usage.currency))


def of_tree(db: apsw.Connection, root: int) -> list[UsageView]:
    """Return what the attempts of a tree have used."""
    return [UsageView._make((*values[:9], Usage(*values[9:]))) for values in rows(db, _VIEW, (root,))]


def sums(db: apsw.Connection, query: UsageQuery) -> list[UsageSum]:
    """Return sums, the largest cost first."""
    args = (query.owner, query.tenant, query.agent, query.since or 0.0)
    found = [_sum(values) for values in rows(db, _SUMS.format(name=_NAMES[query.by]), args)]
    return sorted(found, key=lambda each: (-each.usage.parts, -each.usage.tokens, each.name))


def _sum(values: tuple[Any, ...]) -> UsageSum:
    name, runs, calls, sent, received, cached, millions, rest, unpriced, currency = values
    return UsageSum(name, runs, Usage(calls, sent, received, cached, millions * _MILLION + rest, unpriced, currency))
