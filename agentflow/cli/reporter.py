"""What of a run is written while it is followed: events as JSON, stable lines, or lines of a terminal."""

from __future__ import annotations

from agentflow.cli.documents import event_data
from agentflow.cli.format import fields_line, value_line
from agentflow.cli.live import Screen
from agentflow.cli.rows import answered, finished, stable_line, waiting
from agentflow.cli.session import Session
from agentflow.cli.tree import Change, Row, RunTree
from agentflow.cli.wait_texts import finished_retry


class Reporter:
    """Writes the changes of one run."""

    def __init__(self, session: Session, tree: RunTree) -> None:
        """Prepare to write."""
        self.session = session
        self.console = session.console
        self.engine = session.engine
        self.screen = Screen(session.console, tree)
        self.by: dict[str, str] = {}
        """Who answered, by the id of the wait."""

    async def report(self, change: Change) -> None:
        """Write what one event changed, if it is told at all."""
        if self.console.mode == "jsonl":
            self.console.line(event_data(change.event))
            return
        if self.console.quiet:
            return
        if not self.console.err_terminal:
            await self.session.learn([change.row.wait] if change.row and change.row.wait else [], "wait")
            line = stable_line(change, self.session.short)
            if line is not None:
                self.console.say(line)
            return
        lines = await self.lines(change)
        if lines:
            self.screen.print(lines)
        self.screen.refresh()

    async def lines(self, change: Change) -> list[str]:
        """Return the lines of a change that stay on a terminal: only what has ended, and waits."""
        row = change.row
        if row is None or (row.depth > 0 and change.what != "waiting"):
            return []
        width, paint = self.console.width, self.console.paint
        if change.what == "waiting":
            return [waiting(row, width, paint)]
        if change.what == "completed" and row.wait is not None:
            note = value_line(await self.engine.result(row.run_id, row.address))
            by = self.by.get(row.wait)
            return [answered(row, f"{note}, by {by}" if by else note, width, paint)]
        if change.what in ("completed", "failed", "skipped"):
            line = await self.result(row) if row.state == "completed" and not row.is_loop else None
            return finished(row, line, width, paint)
        if change.what == "retrying" and not self.console.live:
            return finished_retry(row)
        return []

    async def result(self, row: Row) -> str | None:
        """Return a step's result in a few words."""
        value = await self.engine.result(row.run_id, row.address)
        return None if value is None or value == {} else fields_line(value)
