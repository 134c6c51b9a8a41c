"""`waits`, `waits list|show`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from agentflow.cli.console import printable
from agentflow.cli.desk import Desk
from agentflow.cli.documents import wait_data
from agentflow.cli.examples import example
from agentflow.cli.format import ago, answer_line, compact, iso, one_line, rough
from agentflow.cli.looking import look, look_up
from agentflow.cli.options import Common
from agentflow.cli.projects import exists, find_project
from agentflow.cli.tables import Column, layout, tabbed
from agentflow.cli.wait_texts import gate_lines, other_choices, wait_command, who
from agentflow.data import is_object
from agentflow.definition.plain_schema import masked
from agentflow.engine.models import WaitView, wait_view
from agentflow.engine.read.reader import Reader
from agentflow.errors import ConflictError, NotFoundError
from agentflow.steps.unset import UNSET

COLUMNS = (
    Column("ID"),
    Column("KIND"),
    Column("RUN"),
    Column("STEP", cut=True, least=8),
    Column("MESSAGE", cut=True, least=8),
    Column("AGE", drop=2),
    Column("TIMES OUT", drop=1),
)
OPEN = ("input-required", "auth-required")


def list_waits(common: Common, run: str | None) -> int:
    """List open waits, oldest first."""
    console = common.console()
    project = find_project(common, config="none")

    async def work(desk: Desk) -> int:
        views = await desk.reader.waits(await desk.reader.find(run) if run is not None else None)
        if console.mode != "text":
            console.data({"waits": [wait_data(view) for view in views]})
        elif not views:
            console.say("Nothing waits for an answer.")
        else:
            await desk.learn([view.id for view in views], "wait")
            await desk.learn(list(dict.fromkeys(view.run_id for view in views)), "run")
            write_waits(desk, views)
        return 0

    if not exists(project):
        if console.mode != "text":
            console.data({"waits": []})
        else:
            console.say("Nothing waits for an answer.")
        return 0
    return look(console, project, work)


def write_waits(desk: Desk, views: Sequence[WaitView]) -> None:
    """Write the table of waits: for a terminal, or tab-separated for a pipe."""
    console = desk.console
    now = time.time()
    if not console.out_terminal:
        titles = [{"AGE": "SINCE"}.get(column.title, column.title) for column in COLUMNS]  # a time, not an age
        rows = [
            [
                v.id,
                v.kind,
                v.run_id,
                v.step,
                one_line(v.message, 10000),
                iso(v.created_at) or "",
                iso(v.expires_at) or "-",
            ]
            for v in views
        ]
        console.page(tabbed(titles, rows))
        return
    rows = [
        [
            desk.short(view.id),
            view.kind,
            desk.short(view.run_id),
            view.step,
            one_line(view.message),
            rough(now - view.created_at),
            ago(view.expires_at, now) if view.expires_at is not None else "-",
        ]
        for view in views
    ]
    head, *table = layout(COLUMNS, rows, console.width)
    console.page(
        [console.paint("  ".join(head).rstrip(), "dim", out=True), *("  ".join(row).rstrip() for row in table)]
    )


async def find_wait(desk: Desk, wanted: str) -> WaitView:
    """Return the wait that an ending names: a wait's, or a run's with exactly one open wait.

    Raises:
        NotFoundError: there is none.
        ConflictError: the ending, or the run, isn't enough.
    """
    reader = desk.reader
    try:
        wait_id = await reader.find_wait(wanted)
        found = await reader.store.get_task(wait_id)
    except NotFoundError:
        found = None
    if found is not None:
        await desk.learn([found.task.id], "wait")
        await desk.learn([found.root_id], "run")
        return wait_view(found)
    try:
        views = await reader.waits(await reader.find(wanted))
    except NotFoundError:
        views = []
    if len(views) == 1:
        await desk.learn([views[0].id], "wait")
        await desk.learn([views[0].root_id], "run")
        return views[0]
    if views:
        await desk.learn([view.id for view in views], "wait")
        hint = ", ".join(f"{desk.short(view.id)} ({view.step})" for view in views[:5])
        raise NotFoundError(f'"{wanted}" is a run with {len(views)} open waits', code="AF-WAIT-UNKNOWN", hint=hint)
    raise NotFoundError(await _no_wait(desk, wanted), code="AF-WAIT-UNKNOWN", hint="agentflow waits")


async def _no_wait(desk: Desk, wanted: str) -> str:
    """Say that there is no such wait, or that the run of this name waits for nothing: it may have ended."""
    try:
        run = await desk.reader.get(await desk.reader.find(wanted), output=False)
    except (NotFoundError, ConflictError):
        return f'no wait "{wanted}"'
    await desk.learn([run.id], "run")
    short = desk.short(run.id)
    state = f"it has ended ({run.state})" if run.ended else f"it is {run.state}"
    if run.waiting:  # nobody executes it, so nobody has taken its answer yet
        state = f"it has one, and {desk.command(f'runs watch {short}')} carries it on"
    return f"run {short} waits for no answer: {state}"


def show(common: Common, wanted: str) -> int:
    """Show a wait: what it asks, its schema, an example answer."""
    console = common.console()
    project = find_project(common, config="none")

    async def work(desk: Desk) -> int:
        view = await find_wait(desk, wanted)
        if console.mode != "text":
            found = example(view.schema or {})
            console.data({**wait_data(view), "example": None if found is UNSET else found})
            return 0
        now = time.time()
        lines = [f"wait {desk.short(view.id)}  {view.kind}  {view.state}  {view.workflow} · {view.step}"]
        lines.append(f"run {desk.short(view.root_id)}  open for {rough(now - view.created_at)}")
        if view.expires_at is not None and view.state in OPEN:
            lines.append(f"times out {ago(view.expires_at, now)}")
        lines += ["", *view.message.splitlines()]
        lines += gate_lines(view) if "gate" in view.details else _details(view)
        if view.answered_at is not None:
            by = who(view.by, view.door)
            lines += ["", f"answered {ago(view.answered_at, now)} by {by}: {answer_line(masked_answer(view))}"]
        if view.state in OPEN:
            lines += ["", f"answer   {wait_command(desk, view)}", *other_choices(view.schema)]
        if view.schema is not None:
            found = example(view.schema)
            lines += ["", f"example  {compact(found)}"] if found is not UNSET else []
            lines += ["", "schema", *json.dumps(view.schema, ensure_ascii=False, indent=2).split("\n")]
        console.page(printable(lines))
        return 0

    return look(console, project, work, kind="wait")


def masked_answer(view: WaitView) -> object:
    """Return what a wait was answered with, without what its schema says is never shown."""
    answer = view.answer
    if not is_object(answer) or "value" not in answer:
        return answer
    return {**answer, "value": masked(view.schema, answer["value"])}


def _details(view: WaitView) -> list[str]:
    """Return what a wait tells besides; what a budget's message says in words, and who may answer, isn't repeated."""
    left = {key: value for key, value in view.details.items() if key not in ("budget", "human_only")}
    return [f"{key}: {one_line(value, 200)}" for key, value in left.items()]


def known_waits(config: str | None, store: str | None) -> list[str]:
    """Return endings of open waits, for completion."""
    project = find_project(Common(config=config, store=store), config="none")
    if not exists(project):
        return []

    async def of_waits(reader: Reader) -> list[str]:
        return await reader.store.shortest([view.id for view in await reader.waits()], "wait")

    return look_up(project, of_waits)
