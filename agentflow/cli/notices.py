"""What is said beside a run's steps while it is followed: that somebody paused it, and that nothing can be saved."""

from __future__ import annotations

from agentflow.cli.live import Screen
from agentflow.cli.refusals import refusal, refused_data
from agentflow.cli.session import Session
from agentflow.data import is_object
from agentflow.store.rows import Event


class Notices:
    """Tells them once each, when they come about."""

    def __init__(self, session: Session, screen: Screen, run_id: str) -> None:
        """Begin; what happened before isn't told."""
        self._session = session
        self._screen = screen
        self._run_id = run_id
        self._began = session.engine.core.env.now()
        self._refused = session.engine.core.health.refused
        self._stuck: float | None = None
        """Since when nothing can be saved."""

    def hear(self, event: Event) -> None:
        """Tell what an event means beside what it does to a step."""
        if self._stuck is not None and event.at > self._stuck:
            self._stuck = None
            if self._session.console.mode == "jsonl":
                self._session.console.line({"type": "commits_accepted"})
            self._screen.print(["! it can be saved again: going on"])
        data = event.data
        if event.run_id != self._run_id or event.at < self._began or event.type != "run_status" or not is_object(data):
            return
        if data.get("paused") is True:
            go_on = self._session.command(f"runs unpause {self._session.short(self._run_id)}")
            self._screen.print([f"! paused by another process; go on: {go_on}"])
        elif data.get("paused") is False:
            self._screen.print(["! not paused any more: going on"])

    def look(self) -> None:
        """Tell when the store refuses what this process wants to save."""
        engine = self._session.engine
        error, known = engine.core.health.refused, self._refused
        self._refused = error
        if error is None or error is known or self._stuck is not None:
            return
        self._stuck = engine.core.env.now()
        if self._session.console.mode == "jsonl":
            self._session.console.line(
                {"type": "commits_refused", "error": refused_data(error, engine.core.transactor.unsaved())}
            )
        self._screen.print([refusal(error)])
