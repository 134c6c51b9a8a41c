"""`runs show`."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

from agentflow.cli.actions.runs import abandoned, go_on
from agentflow.cli.actions.show_step import step_page
from agentflow.cli.agents import elsewhere
from agentflow.cli.asked import asked_views
from agentflow.cli.children import child_lines
from agentflow.cli.console import printable
from agentflow.cli.damage import CODE, DAMAGED, damage_lines, damaged
from agentflow.cli.desk import Desk
from agentflow.cli.documents import event_data, hosted_data, step_data, wait_data
from agentflow.cli.event_texts import event_told
from agentflow.cli.failures import cause
from agentflow.cli.format import (
    GLYPHS,
    STYLES,
    answer_line,
    clock_time,
    one_line,
)
from agentflow.cli.losses import UNDONE, UNDONE_TEXTS, count, is_undoing, tolerated_inside, tolerated_lines
from agentflow.cli.options import Common
from agentflow.cli.outcomes import cause_lines, next_lines, step_took, timed, took, took_data
from agentflow.cli.projects import find_project
from agentflow.cli.rows import reason_text
from agentflow.cli.session import read
from agentflow.cli.spent import spent_lines, spent_short
from agentflow.cli.tables import cells, cut_to, pad
from agentflow.cli.tree import RunTree, above_of
from agentflow.cli.wait_texts import who
from agentflow.data import decode
from agentflow.definition.models import Workflow
from agentflow.engine.models import Run
from agentflow.engine.read.defined import workflow_of
from agentflow.engine.read.inspect import SLOTS, RunView, StepView, Surroundings, snapshot
from agentflow.engine.read.outputs import output_of
from agentflow.engine.read.spent import by_step
from agentflow.errors import NotFoundError, StoreError
from agentflow.steps.own import OwnTypes
from agentflow.store.rows import (
    RunQuery,
)

_IN_ITEM = re.compile(r"(?<!/case)\[\d+\]/[^/]+$")


def show(common: Common, wanted: str, step: str | None, *, events: bool, tree: bool) -> int:
    """Show a run, one of its steps, or its log."""
    console = common.console()
    project = find_project(common, config="none")

    async def work(desk: Desk) -> int:
        run = await desk.reader.get(await desk.reader.find(wanted), output=False)
        await desk.learn([run.id], "run")
        if events:
            return await _events(desk, run)
        view, workflow = await look(desk, run)
        run = replace(run, output=await _output(desk, view))
        if step is not None:
            return await step_page(desk, run, view, workflow, step)
        if console.mode != "text":
            children = await desk.reader.list(RunQuery(parent=run.id, limit=1000))
            waits = await desk.reader.waits(run.id) if not run.ended else []
            hosted = await desk.reader.hosted([run, *children])
            time_of = took_data(await timed(desk.reader, run)) if run.ended else None
            document = {
                **hosted_data([run], hosted)[0],
                "took": time_of,
                "steps": [step_data(each) for each in view.steps],
            }
            document["budget"] = {each.kind: {"used": each.used, "limit": each.limit} for each in view.budget}
            document |= {"waits": [wait_data(w) for w in waits], "children": hosted_data(children, hosted)}
            document["asked"] = [wait_data(each) for each in await asked_views(desk, run.id)]
            console.data(document)
            return 0
        console.page(await _lines(desk, run, view, everything=tree))
        return 0

    return read(console, project, work)


async def look(desk: Desk, run: Run) -> tuple[RunView, Workflow]:
    """Return a run with its steps as they are now."""
    store = desk.reader.store
    row = await store.get_run(run.id)
    if row is None:
        raise NotFoundError(f'no run "{run.id}"', hint="agentflow runs list")
    workflow = await workflow_of(store, run.definition, _types(desk))
    tasks = {view.task.id: view for view in await store.list_tasks(run_id=run.id, open_only=False)}
    timers = [timer for _, timer in await store.due(math.inf, [row.root], limit=5000) if timer.run == row.run]
    most = workflow.max_parallel or SLOTS
    steps, lost = await store.salvage_steps(run.id)
    keys = {wait.n: wait for wait in await store.slot_waits(row.root) if wait.run == row.run}
    used = await by_step(store, row, steps)
    hosted = (await desk.reader.hosted([run]))[run.id]
    around = Surroundings(time.time(), tasks, timers, hosted, most, lost, keys, used)
    return snapshot(workflow, row, steps, around), workflow


def _types(desk: Desk) -> OwnTypes:
    """Return what finds step types, those of the config's modules too."""
    plain = desk.project.plain
    return OwnTypes(plain.folder, plain.python_modules) if plain is not None else OwnTypes(Path.cwd(), ())


async def _output(desk: Desk, view: RunView) -> Any:
    """Return a run's output; None where the result that it is has been damaged."""
    try:
        return await output_of(desk.reader.store, view.run)
    except StoreError:
        if not damaged(view):
            raise
        return None


async def _events(desk: Desk, run: Run) -> int:
    console = desk.console
    after = 0
    while found := await desk.reader.store.events(run.id, after, 1000):
        after = found[-1].seq
        for event in found:
            if console.mode != "text":
                console.line(event_data(event))
                continue
            step = f" {event.step}" if event.step else ""
            told = f"{event.type}{step}  {event_told(event)}".rstrip()
            console.result(f"{event.seq:>5}  {clock_time(event.at)}  {told}")
    return 0


async def _lines(desk: Desk, run: Run, view: RunView, *, everything: bool) -> list[str]:
    console = desk.console
    short = desk.short(run.id)
    state = console.paint(f"{GLYPHS[run.state]} {run.state}", STYLES[run.state], out=True)
    lost = f", {run.tolerated} failed (tolerated)" if run.tolerated else ""
    head = [f"run {short}", run.workflow, state + (", paused" if run.paused else "") + lost]
    head.append(f" started {clock_time(run.created_at)} by {run.door}")
    times = await timed(desk.reader, run)
    told = took(run, times) if run.ended else None
    head += [f" {told}"] if told else []
    head += [f" entry: {run.entry_point}"] if run.entry_point else []
    foreign = None if run.ended else elsewhere(desk, run)
    head += [f" agent: {run.agent}"] if foreign else []
    lines = ["  ".join(head)]
    lines += cause_lines(view, run)
    lines += damage_lines(desk, run, view)
    if abandoned(run, (await desk.reader.hosted([run]))[run.id]):
        lines.append(f"! no process runs it: {go_on(desk, run)}")
    elif foreign and not run.holder:
        lines.append(f"! {foreign}")
    lines += await _left_slots(desk, view)
    lines.append("")
    undone = [] if everything else [s.address for s in view.steps if is_undoing(s)]
    hidden = set(undone[UNDONE:])
    shown = {s.address for s in view.steps if s.address not in hidden and (everything or _shown(s) or is_undoing(s))}
    around = {above for address in shown for above in above_of(address)}
    steps = [s for s in view.steps if s.address in shown or s.address in around]
    lines += step_lines(desk, steps, tolerated_inside(view.steps), run, times)
    if hidden:
        lines.append(f"… {len(hidden)} more lines of undone steps: {desk.command(f'runs show {short} --tree')}")
    if everything:
        lines += await child_lines(desk, run.id)
    lines += ["", f"input   {one_line(run.input, 200)}"]
    if run.state == "completed":
        lost = DAMAGED if run.output is None and damaged(view) else one_line(run.output, 200)
        lines.append(f"output  {lost}")
    lines += await spent_lines(desk, run, view.budget)
    lines += [f"label   {key}={one_line(value, 200)}" for key, value in run.labels.items()]
    lines += await next_lines(desk, run, lost=bool(damaged(view)))
    return lines


async def _left_slots(desk: Desk, view: RunView) -> list[str]:
    """Say which runs hold a slot that steps of this one wait for while nothing executes them, and what frees it."""
    reader = desk.reader
    waits = [wait for wait in await reader.store.slot_waits(view.run.root) if wait.run == view.run.run]
    held = {run: wait.key for wait in waits for run, _ in wait.holders if run != view.run.id}
    runs = [await reader.get(run, output=False) for run in held]
    hosted = await reader.hosted(runs)
    await desk.learn([run.id for run in runs], "run")
    why = [(run, _idle(desk, run, hosted[run.id])) for run in runs]
    return [
        f"! run {desk.short(run.id)} holds `{held[run.id]}` and {reason};"
        f" {desk.command(f'runs cancel {desk.short(run.id)}')} ends it"
        for run, reason in why
        if reason
    ]


def _idle(desk: Desk, run: Run, hosted: bool | None) -> str | None:
    """Return why nothing executes a run that hasn't ended, and what helps."""
    short = desk.short(run.id)
    if run.paused:
        return f"is paused: {desk.command(f'runs unpause {short}')} carries it on"
    if run.waiting:
        return f"waits for an answer: {desk.command(f'runs show {short}')}"
    return f"no process runs it: {go_on(desk, run)}" if abandoned(run, hosted) else None


def _shown(step: StepView) -> bool:
    """Top steps, and inside them what runs, waits, failed, is damaged or is about to be tried again."""
    return (
        step.depth == 0
        or step.damaged
        or step.state in ("failed", "working", "input-required", "auth-required")
        or step.wait is not None
    )


def step_lines(
    desk: Desk, steps: Sequence[StepView], lost: Mapping[str, Sequence[StepView]], run: Run, times: RunTree
) -> list[str]:
    """Return the table of steps, with what they lack.

    Args:
        desk: store and console.
        steps: what is shown.
        lost: steps whose failure was tolerated, by what is around them.
        run: their run.
        times: what its events tell.
    """
    console = desk.console
    now = time.time()
    rows = [
        [
            "  " * step.depth + (step.address if step.depth == 0 else _inner(step.address)),
            {"wait_for_input": "wait", "wait_for_event": "event"}.get(step.type, step.type),
            _count(step),
            step_took(step, times, now),
            ", ".join(part for part in (_lost(step, lost.get(step.address, ())), _used(step), _note(step)) if part),
        ]
        for step in steps
    ]
    widths = [max([least, *(cells(row[k]) for row in rows)]) for k, least in enumerate((14, 8, 1, 1))]
    widths[0] = min(widths[0], 40)
    lines: list[str] = []
    for step, texts in zip(steps, rows, strict=True):
        state = "canceled" if run.ended and step.state == "submitted" else step.state  # nothing comes any more
        glyph = console.paint(GLYPHS[state], STYLES[state], out=True)
        start = [pad(cut_to(texts[k], w) if k == 0 else texts[k], w) for k, w in enumerate(widths)]
        room = max(console.width - sum(widths) - 12, 16) if console.out_terminal else 10000
        lines.append(f"{glyph} {'  '.join(start)}  {cut_to(texts[4], room)}".rstrip())
        if step.depth == 0:
            every = desk.command(f"runs show {desk.short(run.id)} --step {quote(step.address)}")
            lines += printable(tolerated_lines(step.address, lost.get(step.address, ()), every))
    return lines


def _inner(address: str) -> str:
    """Name a step below the one around it; in a loop with the number of its item."""
    found = _IN_ITEM.search(address)
    return found[0] if found is not None else address.rpartition("/")[2]


def _used(step: StepView) -> str:
    return spent_short(step.usage) if step.usage else ""


def _lost(step: StepView, inside: Sequence[StepView]) -> str:
    """Say how many failures were tolerated inside a step, or in the run that it started."""
    return count([*inside, *([step] if step.state == "completed" else [])])


def _count(step: StepView) -> str:
    if step.items is not None:
        return f"{step.items.done}/{step.items.total}"
    return f"{step.tries} tries" if step.tries > 1 else ""


def _note(step: StepView) -> str:
    if step.damaged:
        return f"{DAMAGED} [{CODE}]"
    if step.why is not None:
        again = step.error is not None and step.state == "working"
        return one_line(step.why + (f" (last: {cause(step.error)})" if again and step.error is not None else ""), 200)
    if step.error is not None and step.state == "failed":
        return cause(step.error)
    if step.state == "canceled":
        why = f": {cause(step.error)}" if step.reason == "tolerated" and step.error is not None else ""
        return reason_text(step.reason) + why
    if step.state == "completed" and step.reason in UNDONE_TEXTS:
        return UNDONE_TEXTS[step.reason]
    if step.answer is not None:
        return f"{answer_line(step.answer)}, by {who(step.by, step.door)}"
    if step.result is not None and step.items is None:
        value = decode(step.result)
        return "" if value is None or value == {} else one_line(value)
    return ""
