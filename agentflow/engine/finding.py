"""Runs and waits by id or by its ending, as a principal sees them: foreign ones are found no more than unknown ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from agentflow.errors import AgentflowError, ConflictError, NotFoundError
from agentflow.ids import is_id
from agentflow.principal import Principal
from agentflow.store.rows import RunQuery, RunRow
from agentflow.store.views import TaskView

if TYPE_CHECKING:
    from agentflow.store.contract import Readable

Kind = Literal["run", "wait"]


async def run_of(store: Readable, run_id: str, principal: Principal) -> RunRow:
    """Return a run by its whole id; raises NotFoundError."""
    if not isinstance(run_id, str):  # pyright: ignore[reportUnnecessaryIsInstance]  users may give anything
        raise not_an_id(run_id, "a run")
    row = await store.get_run(run_id)
    if row is None or not principal.owns(row.tenant, row.owner):
        raise NotFoundError(f'no run "{run_id}"', hint="agentflow runs list")
    return row


def not_an_id(value: object, what: str) -> AgentflowError:
    """Return the error where something else was given than the id of a run or of a wait."""
    hint = "give its id: run.id" if hasattr(value, "id") else None
    told = f"{what} is named by its id, not by an object of {type(value).__name__}"
    return AgentflowError(told, code="AF-USAGE", hint=hint)


async def task_of(store: Readable, task_id: str, principal: Principal) -> TaskView | None:
    """Return a wait or an agent's turn by its whole id, or None."""
    view = await store.get_task(task_id)
    if view is None or not principal.answers(view.tenant, view.owner, view.task.assignees):
        return None
    return view


async def known_task(store: Readable, task_id: str, principal: Principal) -> None:
    """Raise NotFoundError unless a task, a run's or another, is shown to a principal."""
    if await task_of(store, task_id, principal) is None:
        await run_of(store, task_id, principal)


def unknown_wait(task_id: str) -> NotFoundError:
    """Return the error of a wait that isn't there, or isn't shown."""
    return NotFoundError(f'no wait "{task_id}"', code="AF-WAIT-UNKNOWN", hint="agentflow waits list")


async def find(store: Readable, ending: str, kind: Kind, principal: Principal) -> str:
    """Return the whole id that `@last`, an ending or a whole id names; raises NotFoundError, or ConflictError."""
    if kind == "run" and ending == "@last":
        return await _newest(store, principal)
    found = [ending] if is_id(ending) else await store.find(ending.lower(), kind, principal=principal)
    if not found:
        code = "AF-RUN-UNKNOWN" if kind == "run" else "AF-WAIT-UNKNOWN"
        hint = "agentflow runs list" if kind == "run" else "agentflow waits list"
        raise NotFoundError(f'no {kind} ends in "{ending}"', code=code, hint=hint)
    if len(found) > 1:
        raise ConflictError(
            f'{len(found)} {kind}s end in "{ending}"', code="AF-ID-AMBIGUOUS", hint="give more characters"
        )
    return found[0]


async def _newest(store: Readable, principal: Principal) -> str:
    newest = await store.list_runs(shown_to(principal, RunQuery(limit=1)))
    if not newest:
        raise NotFoundError("there are no runs yet", hint="agentflow run WORKFLOW")
    return newest[0].id


def shown_to(principal: Principal, query: RunQuery) -> RunQuery:
    """Return the query for a principal: of its own runs, where it doesn't see all."""
    if principal.sees_all:
        return query
    return replace(query, owner=principal.owner, tenant=principal.tenant)
