"""Which runs a query means, and what else doors and hosts ask: SQL that is put together, values always bound."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal

import apsw

from agentflow.principal import Principal
from agentflow.store.common import shortest_ending
from agentflow.store.rows import (
    TERMINAL,
    RunQuery,
)
from agentflow.store.sqlite.rows import listed
from agentflow.store.sqlite.sql import do, do_many, number, one, rows
from agentflow.store.sqlite.statements import KEEP_POSITION, OF_RUN, OPEN_STATES
from agentflow.store.views import PurgeQuery

if TYPE_CHECKING:
    from agentflow.store.contract import Agents, Holders

# ruff: noqa: S608  the only text put in is constants

Where = tuple[str, tuple[Any, ...]]
_OWN = "(k.tenant = ? AND k.owner = ?)"
NAMED = """
EXISTS (SELECT 1 FROM json_each(iif(json_valid(k.assignees), k.assignees, '[]')) j
  WHERE j.value IN (SELECT value FROM json_each(?)))
"""
_ASSIGNED = f"(k.tenant = ? AND k.assignees IS NOT NULL AND k.state IN {OPEN_STATES} AND {NAMED})"
_SHOWN = f"k.key IN (SELECT key FROM tasks k WHERE {_OWN} UNION SELECT key FROM tasks k WHERE {_ASSIGNED})"
"""Which waits are shown to a principal, each half by its own index."""


def run_where(query: RunQuery) -> Where:
    """Return the condition on `heads h` of a query."""
    parts: list[str] = []
    args: list[Any] = []

    def add(text: str, *values: Any) -> None:
        parts.append(text)
        args.extend(values)

    if query.parent is None:
        add("h.parent IS NULL")
    else:
        add("h.parent = (SELECT key FROM runs WHERE ending = ?)", query.parent[::-1])
    if query.states:
        states = sorted(query.states)
        add(f"h.state IN ({', '.join('?' * len(states))})", *states)
    for column in ("workflow", "agent", "context_id"):
        if (value := getattr(query, column)) is not None:
            add(f"h.{column} = ?", value)
    if query.owner is not None:
        add("h.tenant = ? AND h.owner = ?", query.tenant, query.owner)
    for name, value in query.labels.items():
        add("h.key IN (SELECT run FROM labels WHERE name = ? AND value = ?)", name, value)
    if query.since is not None:
        add("h.created_at >= ?", query.since)
    if query.before is not None:
        add(
            "(h.created_at, h.key) <"
            " (SELECT m.created_at, m.key FROM heads m JOIN runs n ON n.key = m.key WHERE n.ending = ?)",
            query.before[::-1],
        )
    return f"WHERE {' AND '.join(parts)}", tuple(args)


def task_where(
    run: int | None, tree: Collection[int], open_only: bool, principal: Principal | None, before: str | None
) -> Where:
    """Return the condition on `tasks k` of a list of waits."""
    parts = ["k.kind <> 'agent'"]
    args: list[Any] = []
    if run is not None:
        parts.append("k.run IN (SELECT value FROM json_each(?))")
        args.append(listed(tree or (run,)))
    if open_only:
        parts.append(f"k.state IN {OPEN_STATES}")
    if principal is not None and not principal.sees_all:
        parts.append(_SHOWN if run is None else f"({_OWN} OR {_ASSIGNED})")
        args += [principal.tenant, principal.owner, principal.tenant, listed(principal.names)]
    if before is not None:
        parts.append("(k.created_at, k.id) < (SELECT m.created_at, m.id FROM tasks m WHERE m.ending = ?)")
        args.append(before[::-1])
    return f"WHERE {' AND '.join(parts)}", tuple(args)


def concerned(
    table: str, roots: Collection[int] | None, holders: Holders, agents: Agents
) -> tuple[str, str, tuple[Any, ...]]:
    """Return join and condition on the `root` of a table's rows: of these roots, in trees of these holders and agents.

    The rows are gone through in the order of their own index; a tree's head is looked up for each.
    """
    where, args = "", list[Any]()
    if roots is not None:
        where += f" AND {table}.root IN (SELECT value FROM json_each(?))"
        args.append(listed(roots))
    if holders is None and agents is None:
        return "", where, tuple(args)
    if holders is not None:
        where += " AND ((? AND t.holder IS NULL) OR t.holder IN (SELECT value FROM json_each(?)))"
        args += [None in holders, listed(holders)]
    if agents is not None:
        where += " AND t.agent IN (SELECT value FROM json_each(?))"
        args.append(listed(agents))
    return f"CROSS JOIN heads t ON t.key = {table}.root", where, tuple(args)


def ids_ending(
    db: apsw.Connection, kind: Literal["run", "wait"], ending: str, limit: int, who: Principal | None
) -> list[str]:
    """Return ids with an ending that are shown to a principal, newest first. The index of endings leads."""
    low = ending[::-1]
    args: list[Any] = [low, low + "\U0010ffff"]
    text = "FROM runs k INDEXED BY runs_ending" if kind == "run" else "FROM tasks k INDEXED BY tasks_ending"
    where = "WHERE k.ending >= ? AND k.ending < ?"
    if kind == "wait":
        where += " AND k.kind <> 'agent'"
    if who is not None and not who.sees_all:
        args += [who.tenant, who.owner]
        if kind == "run":
            text += " CROSS JOIN heads h ON h.key = k.key"
            where += " AND h.tenant = ? AND h.owner = ?"
        else:
            where += f" AND k.tenant = ? AND (k.owner = ? OR (k.assignees IS NOT NULL AND {NAMED}))"
            args.append(listed(who.names))
    found = rows(db, f"SELECT k.id {text} {where} ORDER BY k.id DESC LIMIT ?", (*args, limit))
    return [values[0] for values in found]


def shortest_of(db: apsw.Connection, kind: Literal["run", "wait"], text: str) -> str:
    """Return the shortest ending that only this id has."""
    table = "runs" if kind == "run" else "tasks"
    turned = text[::-1]
    found = one(
        db,
        f"SELECT (SELECT max(ending) FROM {table} WHERE ending < ?),"
        f" (SELECT min(ending) FROM {table} WHERE ending > ?)",
        (turned, turned),
    )
    return shortest_ending(text, [ending[::-1] for ending in found or () if ending])


def purgeable(db: apsw.Connection, query: PurgeQuery, limit: int) -> list[int]:
    """Return ended root runs that needn't be kept, the first to end first."""
    who, agents = query.principal, query.agents
    found = rows(
        db,
        "SELECT key FROM heads WHERE parent IS NULL AND state IN (SELECT value FROM json_each(?))"
        " AND ended_at < ? - coalesce(retention, ?) AND (? OR (tenant = ? AND owner = ?))"
        " AND (? OR agent IN (SELECT value FROM json_each(?))) ORDER BY ended_at, key LIMIT ?",
        (
            listed(sorted(TERMINAL.intersection(query.states))), query.now, query.age, who.sees_all, who.tenant,
            who.owner, agents is None, listed(list(agents or ())), limit,
        ),
    )  # fmt: skip
    return [values[0] for values in found]


def forget_published(db: apsw.Connection, before: float) -> None:
    """Forget published events that are older than every run that could still ask for them."""
    open_roots = f"FROM heads WHERE parent IS NULL AND state IN {OPEN_STATES}"
    do(
        db,
        f"DELETE FROM published WHERE at < min(?1, coalesce((SELECT min(created_at) {open_roots}), ?1))"
        f" AND pos <= coalesce((SELECT min(heard) {open_roots}), 9e18)",
        (before,),
    )


def thin_out(db: apsw.Connection, keys: Collection[int], room: int) -> int:
    """Delete the bulk of whole trees' rows, at most `room` of them; returns how many more could have been deleted."""
    _keep_position(db)
    for key in keys:
        for table, where, args in (
            ("steps", "key BETWEEN ? AND ?", (key << 32, key << 32 | 0xFFFFFFFF)),
            *((table, "run = ?", (key,)) for table in ("events", "shared", "tasks", "artifacts", "messages")),
        ):
            do(
                db,
                f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {where} LIMIT ?)",
                (*args, room),
            )
            room -= db.changes()
            if room <= 0:
                return 0
    return room


def _keep_position(db: apsw.Connection) -> None:
    """Note the highest position of an event, which may be deleted now: positions are never used again."""
    do(db, KEEP_POSITION, (number(db, "SELECT max(pos) FROM events"),))


def delete_runs(db: apsw.Connection, keys: Collection[int]) -> None:
    """Delete runs with all their rows, and definitions that no run needs any more; the caller names whole trees."""
    _keep_position(db)
    one_each = [(key,) for key in keys]
    definitions = rows(
        db,
        "SELECT definition FROM runs WHERE key IN (SELECT value FROM json_each(?1))"
        " UNION SELECT digest FROM pinned WHERE run IN (SELECT value FROM json_each(?1))",
        (listed(keys),),
    )
    do_many(
        db,
        "DELETE FROM labels WHERE (name, value, run) IN"
        " (SELECT j.key, j.value, r.key FROM runs r, json_each(r.labels) j WHERE r.key = ? AND r.labels IS NOT NULL)",
        one_each,
    )
    do_many(db, "DELETE FROM steps WHERE key BETWEEN ? AND ?", [(key << 32, key << 32 | 0xFFFFFFFF) for key in keys])
    do_many(db, "DELETE FROM inbox WHERE root = (SELECT root FROM heads WHERE key = ?1) AND run = ?1", one_each)
    for table in OF_RUN:
        do_many(db, f"DELETE FROM {table} WHERE run = ?", one_each)
    for table in ("runs", "heads"):
        do_many(db, f"DELETE FROM {table} WHERE key = ?", one_each)
    do_many(
        db,
        "DELETE FROM definitions WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE definition = ?1)"
        " AND NOT EXISTS (SELECT 1 FROM pinned WHERE digest = ?1)",
        definitions,
    )


def answered_by(db: apsw.Connection, root: int, message_id: str | None) -> str | None:
    """Return the id of the wait of a tree that a message has answered: it answers no other one."""
    found = one(db, _ANSWERED_BY, (message_id, root)) if message_id is not None else None
    return found[0] if found else None


_ANSWERED_BY = """
SELECT k.id FROM messages m JOIN heads h ON h.key = m.run JOIN tasks k ON k.run = m.run AND k.id = m.task
WHERE m.id = ?1 AND h.root = ?2 AND k.message_id = ?1
"""
