"""Follow a run: its events become lines or a live tree, its waits become forms, until it ends or is left."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import anyio

from agentflow.cli.answers import written_id
from agentflow.cli.ask import Form, Left
from agentflow.cli.errors import error_lines, tell_lines
from agentflow.cli.format import duration, one_line
from agentflow.cli.intake import Intake
from agentflow.cli.notices import Notices
from agentflow.cli.reporter import Reporter
from agentflow.cli.row import Row
from agentflow.cli.rows import ending, tolerated, worked
from agentflow.cli.session import Session
from agentflow.cli.signing import Wanted, sign_in_for
from agentflow.cli.tree import Change, RunTree
from agentflow.cli.wait_texts import NOT_KEPT, wait_command, wait_head, who
from agentflow.data import is_object
from agentflow.engine import Answer, WaitView
from agentflow.engine.models import wait_view
from agentflow.errors import AgentflowError, ConflictError, InputError
from agentflow.ids import new_id
from agentflow.steps.unset import UNSET
from agentflow.store.rows import (
    Event,
)

Ending = Literal["ended", "parked", "left", "timeout"]
_Said: TypeAlias = Literal["left", "elsewhere"] | tuple[Any]
"""What somebody said who was asked; that he left; that it was done elsewhere."""
REFRESH = 0.25
IDLE = 1.0
"""Seconds without an event after which the run itself is looked at."""
LOOK = 2.0
"""Seconds between two looks whether the process that runs it has died."""
OPEN = ("input-required", "auth-required")
SIGNING_IN = 300.0
"""Seconds for which a terminal waits for somebody to sign in."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How to follow a run."""

    wait: bool = False
    """Stay while only an answer from elsewhere can move it on."""
    ask: bool = True
    """Ask in the terminal what it waits for."""
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Answers given in advance, by step."""
    cancel_on_interrupt: bool = False
    settle: bool = False
    """Leave it also when it is paused."""


class Follower:
    """One run being followed."""

    def __init__(self, session: Session, run_id: str, manner: Manner, *, ours: bool) -> None:
        """Prepare to follow.

        Args:
            session: engine and console.
            run_id: whole id of a root run.
            manner: how.
            ours: whether this process executes it already.
        """
        self.session = session
        self.console = session.console
        self.engine = session.engine
        self.run_id = run_id
        self.manner = manner
        self.ours = ours
        self.tree = RunTree(run_id)
        self.intake = Intake(session.engine, run_id, self.tree)
        self.reporter = Reporter(session, self.tree)
        self.screen = self.reporter.screen
        self.left = False
        self._asking = False
        self._gone = False
        """Whether the run was seen ended, though its end wasn't heard of."""
        self._open: dict[str, Row] = {}
        self._began = session.engine.core.env.now()
        self.mine: set[str] = set()
        """Waits that this command answers."""
        self.notices = None if manner.settle else Notices(session, self.screen, run_id)
        self._told: set[str] = set()
        self._views: dict[str, WaitView] = {}

    async def follow(self) -> Ending:
        """Follow the run until it ends, parks, or the time is over."""
        self.session.farewell = self._farewell
        if self.manner.cancel_on_interrupt:
            self.session.on_interrupt = self._cancel
        result: Ending = "timeout"
        try:
            with anyio.CancelScope(deadline=self.session.deadline):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self.intake.pump)
                    tasks.start_soon(self._tick)
                    result = await self._loop()
                    tasks.cancel_scope.cancel()
        finally:
            self.screen.stop()
        if result == "timeout":
            self.engine.host.leave()
        return result

    async def catch_up(self) -> None:
        """Take in what happened until now without telling it."""
        intake = self.intake
        while batch := await self.engine.store.events(self.run_id, intake.start, tree=True):
            for event in batch:
                await self._apply(event)
            intake.start = batch[-1].pos

    async def _tick(self) -> None:
        """Redraw, and look whether the process that runs it is still there."""
        looked = time.monotonic()
        while True:
            await anyio.sleep(REFRESH)
            if self.notices is not None and not self._asking:
                self.notices.look()
            if self.console.live and not self._asking:  # it would be drawn over the form
                self.screen.refresh()
            if time.monotonic() - looked >= LOOK:
                looked = time.monotonic()
                if self.console.live:
                    await self.intake.learn()
                if not self.ours and not self.tree.ended_run and await self.engine.adopt(self.run_id):
                    self.ours = True
                    self.screen.print(["! the process that ran it is gone: going on here"])

    async def _loop(self) -> Ending:
        while not self.tree.ended_run:
            batch: list[Event] = []
            with anyio.move_on_after(IDLE) as idle:
                batch = await self.intake.batch()
            for event in batch:
                await self.reporter.report(await self._apply(event))
                if self.notices is not None:
                    self.notices.hear(event)
            if batch and self.intake.more:
                continue
            if not batch:
                if not idle.cancelled_caught:
                    return "ended"
                looked = await self._look()
                if looked is not None:
                    return looked
            ending = await self._attend()
            if ending is not None and not self.tree.ended_run:
                return ending
        return "ended"

    async def _look(self) -> Ending | None:
        """Look at the run when nothing was heard of it for a while."""
        run = await self.engine.get(self.run_id)
        if run.ended and not self.intake.more:
            if not self._gone:  # another process ended it, and its last events are on their way
                self._gone = True
                return None
            self.tree.state = run.state
            return "ended"
        if run.waiting:
            self.tree.state = run.state
        return "parked" if run.paused and self.manner.settle else None

    async def _apply(self, event: Event) -> Change:
        await self.intake.place(event)
        change = self.tree.apply(event)
        row = change.row
        if row is not None and row.wait is not None:
            if change.what == "waiting":
                self._open[row.wait] = row
            elif change.what in ("answered", "completed", "failed", "skipped"):
                self._open.pop(row.wait, None)
            if change.what == "answered" and is_object(event.data):
                elsewhere = event.at >= self._began and row.wait not in self.mine
                self.reporter.by[row.wait] = who(event.data.get("by"), event.data.get("door"), elsewhere=elsewhere)
        return change

    # waits

    async def _attend(self) -> Ending | None:
        """Deal with open waits: answered in advance, asked here, or told. A result ends the following."""
        for wait_id in list(self._open):
            view = await self._view(wait_id)
            if view is None or view.state not in OPEN:
                self._open.pop(wait_id, None)
                continue
            given = await self._given(view)
            if given is not UNSET:
                await self.engine.resume(view.id, Answer(given), door="cli", message_id=new_id())
                self.mine.add(wait_id)
                self._open.pop(wait_id, None)
            elif self.console.asks and self.manner.ask and view.kind in ("input", "tool", "operator"):
                if await self._ask(view) == "left":
                    self.left = True
                    return "left"
                return None
            elif self.console.asks and self.manner.ask and view.connection is not None and view.id not in self._told:
                self._told.add(view.id)  # asked once: who doesn't want to here may do it elsewhere
                await self._sign_in(view)
                return None
        if self.tree.state not in OPEN:
            return None
        if not (await self.engine.get(self.run_id)).waiting or not await self.engine.waits(self.run_id):
            return None
        if not self.manner.wait:
            return "parked"
        await self._tell_open()
        return None

    async def _view(self, wait_id: str) -> WaitView | None:
        found = await self.engine.store.get_task(wait_id)
        if found is None:
            return None
        await self.session.learn([wait_id], "wait")
        view = self._views[wait_id] = wait_view(found)
        return view

    async def _given(self, view: WaitView) -> Any:
        given = self.manner.answers
        names = (view.step, view.step.rpartition("/")[2])
        if given and not any(name in given for name in names):
            names = (*names, await written_id(self.engine, view))
        return next((given[name] for name in names if name in given), UNSET)

    async def _tell_open(self) -> None:
        if not self.session.project.lasts:
            return  # no other process sees these waits
        new = [wait_id for wait_id in self._open if wait_id not in self._told]
        self._told.update(new)
        for wait_id in new:
            view = await self._view(wait_id)
            if view is not None:
                await self.session.learn([wait_id], "wait")
                self.screen.stop()
                self.console.say(f"answer {view.step}: {wait_command(self.session.desk, view)}")

    async def _ask(self, view: WaitView) -> Literal["answered", "left", "elsewhere"]:
        """Ask in the terminal, and watch meanwhile whether somebody else answers."""
        self.screen.stop()
        for line in wait_head(view):
            self.console.say(line)
        held: list[Change] = []
        while True:
            outcome = await self._form(view, held)
            if outcome in ("left", "elsewhere"):
                break
            try:
                self.mine.add(view.id)
                await self.engine.resume(view.id, Answer(outcome[0]), door="cli", message_id=new_id())
                self._open.pop(view.id, None)
                break
            except InputError as error:
                tell_lines(self.console, error_lines(error))
            except ConflictError:
                outcome = "elsewhere"
                break
        if outcome == "elsewhere":
            self.mine.discard(view.id)
            await self._tell_elsewhere(view.id)
        if outcome != "left":
            self.console.say("")
        for change in held:
            await self.reporter.report(change)
        return "left" if outcome == "left" else "elsewhere" if outcome == "elsewhere" else "answered"

    async def _sign_in(self, view: WaitView) -> None:
        """Let somebody sign in from the terminal, and watch meanwhile whether that is done elsewhere."""
        self.screen.stop()
        for line in wait_head(view):
            self.console.say(line)
        held: list[Change] = []

        async def sign_in() -> _Said:
            wanted = Wanted(view.connection or "", owner=view.owner, tenant=view.tenant)
            try:
                self.mine.add(view.id)
                return (await sign_in_for(self.session, view, wanted, SIGNING_IN),)
            except AgentflowError as error:
                tell_lines(self.console, error_lines(error))
                return "elsewhere"

        await self._meanwhile(view, held, sign_in)
        for change in held:
            await self.reporter.report(change)

    async def _form(self, view: WaitView, held: list[Change]) -> _Said:
        form = Form(self.console, view.schema, view.default if view.has_default else UNSET)

        async def fill() -> _Said:
            try:
                return (await form.fill(),)
            except Left:
                return "left"

        return await self._meanwhile(view, held, fill)

    async def _meanwhile(
        self,
        view: WaitView,
        held: list[Change],
        ask: Callable[[], Awaitable[_Said]],
    ) -> _Said:
        """Ask something, as long as the wait is open; what happens meanwhile is told later."""
        self._asking = True
        outcome: list[_Said] = []
        async with anyio.create_task_group() as tasks:

            async def asked() -> None:
                outcome.append(await ask())
                tasks.cancel_scope.cancel()

            tasks.start_soon(asked)
            while not outcome:
                batch = await self.intake.batch()
                if not batch:
                    break
                held += [await self._apply(event) for event in batch]
                if view.id not in self._open or self.tree.ended_run:
                    break
            if not outcome:
                outcome.append("elsewhere")
            tasks.cancel_scope.cancel()
        self._asking = False
        return outcome[0]

    async def _tell_elsewhere(self, wait_id: str) -> None:
        self._open.pop(wait_id, None)
        view = await self._view(wait_id)
        self.console.say("")
        if view is None or view.answered_at is None:
            self.console.say("! It doesn't wait any more. Going on.")
            return
        by = who(view.by, view.door, elsewhere=True)
        self.reporter.by[wait_id] = by
        ago = duration(max(round(time.time() - view.answered_at), 0))
        value = view.answer.get("value") if is_object(view.answer) else None
        fields = ", ".join(f"{k}={one_line(v)}" for k, v in value.items()) if is_object(value) else one_line(value)
        self.console.say(f"! Answered by {by} {ago.replace('0ms', '0s')} ago: {fields}. Going on.")

    # leaving

    async def _cancel(self) -> bool:
        self.screen.stop()
        self.console.say("canceling the run; Ctrl+C again leaves at once")
        await self.engine.cancel(self.run_id)
        return True

    def _farewell(self) -> list[str]:
        self.screen.stop()
        if not self.session.project.lasts:
            return ["", f"Left the run. {NOT_KEPT}"]
        run = self.session.short(self.run_id)
        watch = f"  {self.session.command(f'runs watch {run}')}"
        if self._open:
            return self.waiting_text()
        saved = "is saved; it " if self.engine.core.health.refused is None else ""
        return ["", f"Left the run. It {saved}goes on with:", watch]

    def waiting_text(self) -> list[str]:
        """Return what to say when the run is left waiting."""
        saved = "is saved and " if self.engine.core.health.refused is None else ""
        lines = ["", f"Left the run waiting. It {saved}goes on when somebody answers:"]
        for wait_id in self._open:
            view = self._views.get(wait_id)
            known = self.session.command(f"waits answer {self.session.short(wait_id)}")
            lines.append(f"  {wait_command(self.session.desk, view) if view is not None else known}")
        return [*lines, f"  {self.session.command(f'runs watch {self.session.short(self.run_id)}')}"]

    async def open_waits(self) -> list[WaitView]:
        """Return what the run waits for."""
        return await self.engine.waits(self.run_id)

    def last_line(self) -> str:
        """Return the line that ends the following."""
        if self.console.err_terminal:
            return ending(self.tree, self.console.width)
        took = f" {worked(self.tree)}" if self.tree.worked is not None else ""
        return f"run {self.session.short(self.run_id)} {self.tree.state}{took}{tolerated(self.tree)}"
