"""Asks a caller's user what a run waits for, while the call is open."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace

import anyio

from agentflow.engine import Engine, Run, WaitView, finding
from agentflow.engine.commands.noting import Note
from agentflow.errors import AgentflowError, ConflictError, InputError
from agentflow.store.common import OPEN
from agentflow_mcp.asking import Asking, Opened, Reply, Request
from agentflow_mcp.caller import Caller
from agentflow_mcp.questions import DOOR, Question, Questions, asked_text, unfit

TRIES = 3
"""How often a user is asked who gives answers that don't fit."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Shows forms to the users of callers that can show them at any time."""

    engine: Engine
    questions: Questions
    beat: float
    """Seconds after which a caller hears again what its call is at: some give up when they hear nothing."""

    async def asked(self, run: Run, caller: Caller, seconds: float, tried: set[str]) -> bool:
        """Ask the caller's user what a run waits for; tells whether something of it is over.

        Args:
            run: the run.
            caller: who calls.
            seconds: how long a user who has gone to a page is waited for.
            tried: ids of waits that were asked for in vain; those of this time are added.
        """
        if caller.ask is None:
            return False
        waits = await self.engine.waits(run.id, principal=caller.principal)
        for question in (await self.questions.of(waits, caller)).values():
            if question.view.id not in tried and await self._ask(question, caller, caller.ask, seconds):
                return True
            tried.add(question.view.id)
        return False

    async def _ask(self, question: Question, caller: Caller, ask: Asking, seconds: float) -> bool:
        """Ask for one answer; tells whether the wait is over, whoever has answered it."""
        view, request = question.view, question.request
        for _ in range(TRIES):
            over, reply = await self._said(view, caller, ask, request)
            if over or reply is None:
                return over
            if isinstance(reply, Opened):
                await self.questions.noted(view, Note("wait_opened"), caller.principal)
                return await self._answered_there(view, caller, seconds)
            try:
                await self.engine.resume(view.id, reply, door=DOOR, principal=caller.principal)
            except InputError as error:
                request = replace(request, message=unfit(asked_text(view), error.why or error.what))
            except ConflictError:
                return True  # somebody else was first
            else:
                return True
        return False

    async def _said(self, view: WaitView, caller: Caller, ask: Asking, request: Request) -> tuple[bool, Reply]:
        """Ask, as long as nobody answers elsewhere; returns whether somebody did, and what was said here."""
        over, reply = True, None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_closed, view, caller, tasks.cancel_scope)
            tasks.start_soon(self._beaten, caller, f"waits for an answer: {view.step}")
            reply = await ask(request)
            over = False
            tasks.cancel_scope.cancel()
        return over, reply

    async def _answered_there(self, view: WaitView, caller: Caller, seconds: float) -> bool:
        """Wait for what comes of a page; tells whether the wait is over."""
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._beaten, caller, f"waits for an answer: {view.step}")
                await self._until_closed(view, caller, tasks.cancel_scope)
                tasks.cancel_scope.cancel()
        return not await self._is_open(view, caller)

    async def _beaten(self, caller: Caller, message: str) -> None:
        while True:
            await anyio.sleep(self.beat)
            await caller.progress(message)

    async def _until_closed(self, view: WaitView, caller: Caller, scope: anyio.CancelScope) -> None:
        """Leave a scope when a wait isn't open any more."""
        try:
            await self._closed(view, caller)
        except AgentflowError:  # nobody knows: the answer will tell
            return
        scope.cancel()

    async def _closed(self, view: WaitView, caller: Caller) -> None:
        engine, principal = self.engine, caller.principal
        run = await engine.get(view.run_id, output=False, principal=principal)
        async with aclosing(engine.subscribe(run.id, run.seq, principal=principal)) as events:
            while await self._is_open(view, caller):
                if await anext(events, None) is None:
                    break

    async def _is_open(self, view: WaitView, caller: Caller) -> bool:
        found = await finding.task_of(self.engine.store, view.id, caller.principal)
        return found is not None and found.task.state in OPEN
