"""Pages of task lists: each state of runs and of waits by its own index, in the order of the last change; merged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import apsw

from agentflow.store.rows import ENDED, State
from agentflow.store.sqlite.queries import NAMED
from agentflow.store.sqlite.rows import listed
from agentflow.store.sqlite.sql import number, rows
from agentflow.store.sqlite.statements import OPEN_STATES
from agentflow.store.views import ListedTask, TaskPage, TaskQuery

# ruff: noqa: S608  the only text put in is constants

_MOVING: tuple[State, ...] = ("submitted", "working")
"""States of runs that few are in, and none for long."""
_STATES: tuple[State, ...] = (*_MOVING, "input-required", "auth-required", *ENDED)
_RUN_FIELDS = """
SELECT r.id, 'run', h.state, h.message, h.changed_at changed, h.created_at, h.generation, h.context_id, h.tenant,
  h.owner, r.id, NULL, h.workflow, h.agent
"""
_RUN_JOIN = "JOIN runs r ON r.key = h.key"
_RUN = _RUN_FIELDS + f"FROM heads h INDEXED BY {{index}} {_RUN_JOIN} WHERE h.parent IS NULL"
_TASK_FIELDS = """
SELECT k.id, k.kind, k.state, k.message, k.updated_at changed, k.created_at, k.generation, k.context_id, k.tenant,
  k.owner, r.id, k.step, h.workflow, h.agent
"""
_TASK_JOIN = "JOIN runs r ON r.key = k.run"
_TASK = _TASK_FIELDS + f"FROM tasks k INDEXED BY {{index}} JOIN heads h ON h.key = k.run {_TASK_JOIN} WHERE TRUE"
_AGENTS = " AND h.agent IN (SELECT value FROM json_each(?))"
_OPEN_TASK = f"AND k.assignees IS NOT NULL AND k.state IN {OPEN_STATES}"


class _Part(NamedTuple):
    """Some of the tasks: a query that one index gives in order, but for those of the same time."""

    sql: str
    args: tuple[Any, ...]
    changed: str
    """Column with the time of the last change."""

    @property
    def counted(self) -> str:
        """The query of how many they are: a row of `runs` is there for each, and need not be looked up."""
        text = self.sql.replace(_RUN_FIELDS, "SELECT count(*) ").replace(_TASK_FIELDS, "SELECT count(*) ")
        return text.replace(_RUN_JOIN, "").replace(_TASK_JOIN, "")


def task_page(db: apsw.Connection, query: TaskQuery) -> TaskPage:
    """Return a page, and how many tasks there are on all."""
    parts = list(_parts(query))
    total = sum(number(db, part.counted, part.args) for part in parts)
    if not parts or not total:
        return TaskPage([], total)
    texts, args = list[str](), list[Any]()
    for part in parts:
        where, more = "", tuple[Any, ...]()
        if query.after is not None:
            at, name = query.after
            identity = "r.id" if part.changed == "h.changed_at" else "k.id"
            where = f"AND {part.changed} <= ? AND ({part.changed} < ? OR {identity} < ?)"
            more = (at, at, name)
        texts.append(f"SELECT * FROM ({part.sql} {where} ORDER BY {part.changed} DESC, 1 DESC LIMIT ?)")
        args += [*part.args, *more, query.limit]
    found = rows(db, f"{' UNION ALL '.join(texts)} ORDER BY 5 DESC, 1 DESC LIMIT ?", (*args, query.limit))
    return TaskPage([ListedTask._make(values) for values in found], total)


def _parts(query: TaskQuery) -> Iterator[_Part]:
    states: list[State] = [state for state in _STATES if not query.states or state in query.states]
    kinds = [kind for kind in query.kinds if kind != "run"]
    if "run" in query.kinds:
        yield from _of_runs(query, states)
    if kinds:
        yield from _of_tasks(query, states, listed(kinds))


def _of_runs(query: TaskQuery, states: list[State]) -> Iterator[_Part]:
    who, where, args = query.principal, "", list[Any]()
    if not who.sees_all:
        where = " AND h.tenant = ? AND h.owner = ?"
        args += [who.tenant, who.owner]
    if query.changed_since is not None:
        where += " AND h.changed_at >= ?"
        args.append(query.changed_since)
    if query.agents is not None:
        where += _AGENTS
        args.append(listed(query.agents))
    if query.context_id is not None:
        text = f"{_RUN.format(index='heads_context')} AND h.context_id = ? {where}"
        yield _Part(f"{text} AND h.state IN {_constants(states)}", (query.context_id, *args), "h.changed_at")
        return
    for state in states:
        if state in _MOVING:
            text = f"{_RUN.format(index='heads_state')} AND h.state = ? {where}"
        else:
            index = "heads_changed" if who.sees_all else "heads_listed"
            text = f"{_RUN.format(index=index)} AND h.state NOT IN {_constants(_MOVING)} AND h.state = ? {where}"
        yield _Part(text, (state, *args), "h.changed_at")


def _of_tasks(query: TaskQuery, states: list[State], kinds: str) -> Iterator[_Part]:
    who = query.principal
    where, args = " AND k.kind IN (SELECT value FROM json_each(?))", list[Any]([kinds, *_since(query)])
    if query.changed_since is not None:
        where += " AND k.updated_at >= ?"
    if query.agents is not None:
        where += _AGENTS
        args.append(listed(query.agents))
    own, mine = (" AND k.tenant = ? AND k.owner = ?", (who.tenant, who.owner)) if not who.sees_all else ("", ())
    context, here = (" AND k.context_id = ?", (query.context_id,)) if query.context_id is not None else ("", ())
    if query.context_id is not None:
        text = f"{_TASK.format(index='tasks_context')} {context} AND k.state IN {_constants(states)} {own} {where}"
        yield _Part(text, (*here, *mine, *args), "k.updated_at")
    else:
        index = "tasks_state" if who.sees_all else "tasks_listed"
        for state in states:
            text = f"{_TASK.format(index=index)} AND k.state = ? {own} {where}"
            yield _Part(text, (state, *mine, *args), "k.updated_at")
    if not who.sees_all:  # what is assigned to it of others' runs
        text = f"{_TASK.format(index='tasks_assigned')} {_OPEN_TASK} AND k.tenant = ? AND k.owner <> ? AND {NAMED}"
        named = (who.tenant, who.owner, listed(who.names))
        text = f"{text} AND k.state IN {_constants(states)} {context} {where}"
        yield _Part(text, (*named, *here, *args), "k.updated_at")


def _since(query: TaskQuery) -> tuple[float, ...]:
    return () if query.changed_since is None else (query.changed_since,)


def _constants(states: tuple[State, ...] | list[State]) -> str:
    """Return states as a list in SQL; they are the contract's own words."""
    return f"({', '.join(repr(state) for state in states)})"
