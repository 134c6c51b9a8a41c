"""`push list|retry`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agentflow.cli.desk import Desk
from agentflow.cli.format import ago, iso, one_line, plural
from agentflow.cli.looking import look
from agentflow.cli.options import Common
from agentflow.cli.projects import exists, find_project
from agentflow.cli.tables import Column, layout, tabbed
from agentflow.errors import InputError, NotFoundError
from agentflow.store.outbox import Push, PushQuery, Receivers

if TYPE_CHECKING:
    from agentflow.cli.session import Session
    from agentflow.engine import Engine
    from agentflow.engine.read.reader import Reader

COLUMNS = (
    Column("TASK"),
    Column("ID", cut=True, least=6),
    Column("TO", cut=True, least=12),
    Column("STATE"),
    Column("GENERATION", drop=2),
    Column("TRIES", drop=1),
    Column("NEXT", drop=3),
    Column("ERROR", cut=True, least=8),
)


def list_pushes(common: Common, task: str | None, *, failed: bool) -> int:
    """List receivers of push notifications, oldest first."""
    console = common.console()
    project = find_project(common, config="none")

    async def work(desk: Desk) -> int:
        task_id = await _task(desk.reader, task)
        found = await _all(desk.reader.store.receivers, PushQuery(task_id, states=("failed",) if failed else ()))
        if console.mode != "text":
            console.data({"pushes": [push_data(push) for push in found]})
        elif not found:
            console.say(_none(failed))
        else:
            await desk.learn(list({push.task_id: None for push in found}), "run")
            _write(desk, found)
        return 0

    if not exists(project):
        if console.mode != "text":
            console.data({"pushes": []})
        else:
            console.say(_none(failed))
        return 0
    return look(console, project, work)


def retry(common: Common, task: str | None, name: str | None, *, every: bool) -> int:
    """Let receivers that have failed be tried anew."""
    console = common.console()
    if (task is None) != every:
        raise InputError("say which task, or --all", code="AF-USAGE", hint="agentflow push list --failed")
    project = find_project(common, config="none")

    from agentflow.cli.session import drive  # noqa: PLC0415  only who changes something needs an engine

    async def work(session: Session) -> int:
        query = PushQuery(await _task(session.engine, task), name, ("failed",))
        found = await session.engine.store.outbox.revive(query, time.time())
        if console.mode != "text":
            console.data({"pushes": [push_data(push) for push in found]})
        elif not found:
            console.say(_none(failed=True))
        else:
            console.result(f"{plural(len(found), 'receiver')} will be tried anew by a server of this store")
        return 0

    return drive(console, project, work, host="none")


def push_data(push: Push) -> dict[str, Any]:
    """Return a receiver; where it sends to is told only as far as everybody may know it."""
    return {
        "task_id": push.task_id,
        "id": push.id,
        "to": push.place,
        "state": push.state,
        "generation": push.generation,
        "tries": push.tries,
        "next_at": iso(push.due) if push.state == "active" else None,
        "error": push.error,
        "owner": push.owner,
        "tenant": push.tenant,
        "agent": push.agent,
        "created_at": iso(push.created_at),
    }


async def _task(reader: Reader | Engine, wanted: str | None) -> str | None:
    """Return the whole id of the task that an ending names, a run's or a wait's."""
    if wanted is None:
        return None
    try:
        return await reader.find(wanted)
    except NotFoundError as unknown:
        try:
            return await reader.find_wait(wanted)
        except NotFoundError:
            raise unknown from None


async def _all(receivers: Receivers, query: PushQuery) -> list[Push]:
    found: list[Push] = []
    while page := await receivers.pushes(
        PushQuery(query.task_id, query.id, query.states, after=found[-1].key if found else 0)
    ):
        found += page
    return found


def _none(failed: bool) -> str:
    return "No receiver of push notifications has failed." if failed else "Nobody gets push notifications."


def _write(desk: Desk, found: Sequence[Push]) -> None:
    """Write the table: for a terminal, or tab-separated for a pipe."""
    console, now = desk.console, time.time()
    if not console.out_terminal:
        rows = [
            [
                p.task_id, p.id, p.place, p.state, str(p.generation), str(p.tries),
                (iso(p.due) if p.due and p.state == "active" else None) or "-", one_line(p.error or "-", 10000),
            ]
            for p in found
        ]  # fmt: skip
        console.page(tabbed([column.title for column in COLUMNS], rows))
        return
    rows = [
        [
            desk.short(p.task_id), one_line(p.id), p.place, p.state, str(p.generation), str(p.tries),
            ago(p.due, now) if p.due and p.state == "active" else "-", one_line(p.error or "-"),
        ]
        for p in found
    ]  # fmt: skip
    head, *table = layout(COLUMNS, rows, console.width)
    console.page(
        [console.paint("  ".join(head).rstrip(), "dim", out=True), *("  ".join(row).rstrip() for row in table)]
    )
