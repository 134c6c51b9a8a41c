"""`runs list`."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from agentflow.cli.agents import elsewhere, several
from agentflow.cli.desk import Desk
from agentflow.cli.documents import hosted_data
from agentflow.cli.format import GLYPHS, STYLES, ago, duration, iso, one_line
from agentflow.cli.looking import look, look_up
from agentflow.cli.options import Common
from agentflow.cli.projects import exists, find_project
from agentflow.cli.states import STATES
from agentflow.cli.tables import Column, layout, tabbed
from agentflow.cli.values import pairs, read_timeout, usage
from agentflow.engine.counts import count_items
from agentflow.engine.models import Run, WaitView
from agentflow.engine.read.reader import Reader
from agentflow.store.rows import (
    RunQuery,
    State,
    StepRow,
)

COLUMNS = (
    Column("ID"),
    Column("STATE"),
    Column("WORKFLOW", cut=True, least=6),
    Column("NOW", cut=True, least=8),
    Column("STARTED", drop=1),
    Column("ELAPSED", drop=2),
)
AGENT = Column("AGENT", drop=3)
FAILED: tuple[State, ...] = ("failed", "rejected")
WAITING: tuple[State, ...] = ("input-required", "auth-required")


class Listing(NamedTuple):
    """What `runs list` was asked."""

    states: tuple[str, ...] = ()
    workflow: str | None = None
    labels: tuple[str, ...] = ()
    since: str | None = None
    before: str | None = None
    failed: bool = False
    waiting: bool = False
    limit: int = 20


def states_of(names: Sequence[str]) -> list[State]:
    """Return the states that a command line names.

    Raises:
        InputError: one isn't a state.
    """
    found: list[State] = []
    for name in (part for text in names for part in text.split(",")):
        if name not in STATES:
            raise usage(f'there is no state "{name}"', f"one of: {', '.join(STATES)}")
        found.append(STATES[name])
    return found


def list_runs(common: Common, wanted: Listing) -> int:
    """List runs, newest first."""
    console = common.console()
    states = states_of(wanted.states)
    states += FAILED if wanted.failed else ()
    states += WAITING if wanted.waiting else ()
    since = read_timeout(wanted.since)
    query = RunQuery(
        states=states,
        workflow=wanted.workflow,
        labels=pairs(wanted.labels, "--label"),
        since=time.time() - since if since is not None else None,
        limit=wanted.limit,
    )
    project = find_project(common, config="none")
    filtered = bool(states or wanted.workflow or wanted.labels or wanted.since or wanted.before)

    async def work(desk: Desk) -> int:
        found = query
        if wanted.before is not None:
            found = replace(query, before=await desk.reader.find(wanted.before))
        runs = await desk.reader.list(found)
        total = await desk.reader.store.count_runs(query)
        hosted = await desk.reader.hosted(runs)
        if console.mode != "text":
            console.data({"runs": hosted_data(runs, hosted), "total": total})
            return 0
        if not runs:
            console.say("No run matches." if filtered else "No runs yet. Start one: agentflow run")
            return 0
        await desk.learn([run.id for run in runs], "run")
        left = [run for run in runs if abandoned(run, hosted[run.id])]
        await write_runs(desk, runs, {run.id for run in left})
        older = f" · older: --before {desk.short(runs[-1].id)}" if len(runs) == wanted.limit < total else ""
        if console.out_terminal:
            console.say(f"{len(runs)} of {total}{older}")
        if left:
            more = f" ({len(left) - 1} more)" if len(left) > 1 else ""
            console.say(f"! no process runs {desk.short(left[0].id)}{more}: {go_on(desk, left[0])}")
        return 0

    if not exists(project):
        if console.mode != "text":
            console.data({"runs": [], "total": 0})
        else:
            console.say("No runs yet. Start one: agentflow run")
        return 0
    return look(console, project, work)


def abandoned(run: Run, hosted: bool | None) -> bool:
    """Whether a run should be executing, and no live process does it."""
    return hosted is False and not run.ended and not run.waiting and not run.paused


def go_on(desk: Desk, run: Run) -> str:
    """Return what carries an abandoned run on."""
    return elsewhere(desk, run) or f"{desk.command(f'runs watch {desk.short(run.id)}')} carries it on"


async def write_runs(desk: Desk, runs: Sequence[Run], left: Collection[str] = ()) -> None:
    """Write the table of runs, for a terminal, or tab-separated for a pipe.

    Args:
        desk: store and console.
        runs: what to write.
        left: ids of those that no process executes.
    """
    console = desk.console
    waits: dict[str, list[WaitView]] = {}
    if any(run.state in WAITING for run in runs):
        for view in await desk.reader.waits():
            waits.setdefault(view.root_id, []).append(view)
    now = time.time()
    nows = [("no process runs it: " if run.id in left else "") + await now_of(desk.reader, run, waits) for run in runs]
    columns = [*COLUMNS, AGENT] if several(runs) else COLUMNS
    titles = [column.title for column in columns]
    if not console.out_terminal:
        rows = [
            [
                run.id,
                run.state,
                run.workflow,
                "paused: " * run.paused + text,
                iso(run.created_at) or "",
                took(run),
                run.agent,
            ]
            for run, text in zip(runs, nows, strict=True)
        ]
        console.page(tabbed(titles, [row[: len(titles)] for row in rows]))
        return
    rows = [
        [
            desk.short(run.id),
            f"{GLYPHS[run.state]} {run.state}{', paused' if run.paused else ''}",
            run.workflow,
            text,
            ago(run.created_at, now),
            took(run),
            run.agent,
        ]
        for run, text in zip(runs, nows, strict=True)
    ]
    table = layout(columns, [row[: len(columns)] for row in rows], console.width)
    lines = [console.paint("  ".join(table[0]).rstrip(), "dim", out=True)]
    for run, cells in zip(runs, table[1:], strict=True):
        painted = [cells[0], console.paint(cells[1], STYLES[run.state], out=True), *cells[2:]]
        lines.append("  ".join(painted).rstrip())
    console.page(lines)


def took(run: Run) -> str:
    """Return how long a run took; `-` while it hasn't ended."""
    return duration(max(run.ended_at - run.created_at, 0.0)) if run.ended_at is not None else "-"


async def now_of(reader: Reader, run: Run, waits: Mapping[str, Sequence[WaitView]]) -> str:
    """Say in one line what a run does, waits for, or failed with."""
    if run.state in WAITING and waits.get(run.id):
        first, *more = waits[run.id]
        also = f" (+{len(more)})" if more else ""
        return one_line(f"{first.step}: {first.message}{also}")
    if run.ended:
        lost = f"{run.tolerated} failed (tolerated)" if run.tolerated else ""
        return one_line(run.now_text or "") if run.failure is not None else lost
    return doing((await reader.store.salvage_steps(run.id))[0])


def doing(rows: Sequence[StepRow]) -> str:
    """Say which steps go on: `fetch 412/1000, 3 retrying`."""
    going = [row for row in rows if row.state in ("working", *WAITING)]
    top = [row for row in going if not set(row.address) & set("/[#")]
    parts: list[str] = []
    for row in top[:3]:
        prefix = f"{row.address}["
        items = count_items(row, [inner for inner in rows if inner.address.startswith(prefix)])
        parts.append(f"{row.address} {items.done}/{items.total}" if items.total else row.address)
    if len(top) > 3:
        parts.append(f"{len(top) - 3} more")
    again = sum(1 for row in going if row.phase == "backoff")
    return one_line(", ".join([*parts, *([f"{again} retrying"] if again else [])]))


def known_runs(config: str | None, store: str | None) -> list[str]:
    """Return endings of the newest runs, for completion."""
    project = find_project(Common(config=config, store=store), config="none")
    if not exists(project):
        return []

    async def newest(reader: Reader) -> list[str]:
        ids = [run.id for run in await reader.list(RunQuery(limit=30))]
        return await reader.store.shortest(ids, "run")

    return look_up(project, newest)
