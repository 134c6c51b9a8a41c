"""The runs that a run has started, each behind the step that started it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentflow.cli.desk import Desk
from agentflow.cli.format import GLYPHS, STYLES, duration, one_line
from agentflow.cli.tables import cells, cut_to, pad
from agentflow.store.rows import TERMINAL, RunQuery, RunRow

if TYPE_CHECKING:
    from agentflow.store.contract import Readable

MOST = 1000
"""Runs that are listed."""


@dataclass(frozen=True, slots=True)
class Child:
    """A run below another one."""

    row: RunRow
    step: str
    """Address of the step that started it."""
    depth: int


async def children_of(store: Readable, run_id: str) -> list[Child]:
    """Return the runs below a run: in the order in which they began, those of a child behind it."""
    found: list[Child] = []
    stack = [Child(row, step, 0) for row, step in await _started(store, run_id)]
    while stack and len(found) < MOST:
        child = stack.pop()
        found.append(child)
        stack += [Child(row, step, child.depth + 1) for row, step in await _started(store, child.row.id)]
    return found


async def _started(store: Readable, run_id: str) -> list[tuple[RunRow, str]]:
    """Return the runs that a run started itself, newest first, with the addresses of their steps."""
    rows = await store.list_runs(RunQuery(parent=run_id, limit=MOST))
    if not rows:
        return []
    steps, _ = await store.salvage_steps(run_id)
    addresses = {step.n: step.address for step in steps}
    return [(row, addresses.get(-1 if row.parent_step is None else row.parent_step, "?")) for row in rows]


async def child_lines(desk: Desk, run_id: str) -> list[str]:
    """Return a line for each run below a run, with its step, its state, and why it failed or what it does."""
    console = desk.console
    children = await children_of(desk.reader.store, run_id)
    await desk.learn([child.row.id for child in children], "run")
    names = ["  " * child.depth + child.step for child in children]
    wide = min(max(map(cells, names), default=0), 40)
    lines = ["", "runs that its steps started"] if children else []
    for child, name in zip(children, names, strict=True):
        row = child.row
        glyph = console.paint(GLYPHS[row.state], STYLES[row.state], out=True)
        took = duration(row.ended_at - row.created_at) if row.ended_at is not None else ""
        now = one_line(row.now_text or "", 80) if row.state not in TERMINAL or row.error is not None else ""
        parts = [pad(cut_to(name, wide), wide), f"run {desk.short(row.id)}", row.workflow, row.state, took, now]
        lines.append(f"{glyph} {'  '.join(part for part in parts if part)}".rstrip())
    return lines + ([f"… and more than {MOST} runs"] if len(children) == MOST else [])
