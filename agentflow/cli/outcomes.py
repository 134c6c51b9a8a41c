"""What `runs show` answers before anybody asks: why a run ended, how long it worked, what is kept, how it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote

from agentflow.cli.again import retry_command, retry_plan
from agentflow.cli.console import printable
from agentflow.cli.desk import Desk
from agentflow.cli.failures import sentence, trace_lines
from agentflow.cli.format import duration, elapsed, plural
from agentflow.cli.rows import APART, reason_text, spent, worked
from agentflow.cli.session import with_engine
from agentflow.cli.tree import RunTree
from agentflow.engine.models import Run
from agentflow.engine.read.inspect import RunView, StepView
from agentflow.engine.read.reader import Reader

NAMED = 8
"""Kept steps that are named."""
_PAGE = 1000
_STOPPED = ("failed", "rejected", "canceled")


def cause_lines(view: RunView, run: Run) -> list[str]:
    """Return which step a run failed with, why, what was undone, and what would help; or why it was stopped."""
    failure = run.failure
    if failure is None:
        told = run.message if run.reason == "run_canceled" else reason_text(run.reason)
        return [f"reason: {told}"] if run.state == "canceled" and told else []
    step = view.step(failure.step) if failure.step else None
    tries = f", {step.tries} attempts" if step is not None and step.tries > 1 else ""
    where = f"{failure.step}: " if failure.step else ""
    lines = [f"cause: {where}{sentence(failure, 500)}  [{failure.code}{tries}]"]
    more = [*(failure.why or "").splitlines(), *trace_lines(failure.data)]
    more += [f"hint: {line}" for line in (failure.hint or "").splitlines()]
    return [*lines, *(f"  {line}" for line in printable(more))]


async def timed(reader: Reader, run: Run) -> RunTree:
    """Return what the run's own events tell of its time and its steps': how long they worked, waited, were paused."""
    tree, after = RunTree(run.id), 0
    while found := await reader.store.events(run.id, after, _PAGE):
        after = found[-1].seq
        for event in found:
            tree.apply(event)
    return tree


def took(run: Run, tree: RunTree) -> str | None:
    """Say how long a run that has ended worked, and apart from it how long it waited: `14.9s (+ 41s waiting)`."""
    if run.ended_at is None:
        return None
    return worked(tree) if tree.worked is not None else duration(run.ended_at - run.created_at)


def took_data(tree: RunTree) -> Mapping[str, float] | None:
    """Return the same in seconds, as JSON has it."""
    if tree.worked is None:
        return None
    apart = {what: round(seconds, 3) for what, seconds in tree.apart.items() if seconds >= APART}
    return {"working": round(tree.worked, 3), **apart}


def step_took(step: StepView, times: RunTree, now: float) -> str:
    """Say how long a step took, and apart from it how long it waited; or how long it goes on."""
    if step.seconds is not None and step.state != "canceled":
        row = times.rows.get((times.root_id, step.address))
        return spent(row) if row is not None and row.waited and row.over else duration(step.seconds)
    return elapsed(now - step.started_at) if step.started_at is not None and step.state == "working" else "-"


async def next_lines(desk: Desk, run: Run, *, lost: bool) -> list[str]:
    """Say which command moves the run on, and what it would keep.

    Args:
        desk: store and console.
        run: the run.
        lost: whether a result of it is damaged.
    """
    short = desk.short(run.id)
    if run.state in _STOPPED or (run.ended and lost):
        async with with_engine(desk) as session:
            plan = await retry_plan(session, run)
        if plan is None:
            return []
        more = f" and {len(plan.kept) - NAMED} more" if len(plan.kept) > NAMED else ""
        kept = f"{', '.join(plan.kept[:NAMED])}{more}" if plan.kept else "nothing: a retry begins anew"
        told = f"(keeps {plural(len(plan.kept), 'step')}, runs {len(plan.again)})"
        lines = [f"kept    {kept}"]
        if run.failure is not None and run.failure.step:
            look = desk.command(f"runs show {short} --step {quote(run.failure.step)}")
            lines.append(f"look    {look}     (attempts, log)")
        return [*lines, f"retry   {retry_command(desk, run, plan)}     {told}"]
    waits = [view.id for view in await desk.reader.waits(run.id)] if not run.ended else []
    await desk.learn(waits, "wait")
    lines = [f"answer  {desk.command(f'waits answer {desk.short(wait)}')}" for wait in waits[:5]]
    if run.paused:
        lines.append(f"go on   {desk.command(f'runs unpause {short}')}")
    elif run.state == "working":
        lines.append(f"follow  {desk.command(f'runs watch {short}')}")
    return lines
