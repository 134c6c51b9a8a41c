"""Asks a caller's user what a run waits for, while the call is open."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import anyio

from agentflow.engine import Answer, Decline, Engine, Run, WaitView, finding
from agentflow.errors import AgentflowError, ConflictError, InputError
from agentflow.store.common import OPEN
from agentflow_mcp.asking import Asking, form
from agentflow_mcp.caller import Caller
from agentflow_mcp.documents import ANSWERED
from agentflow_mcp.replies import DOOR, unfit

TRIES = 3
"""How often a user is asked who gives answers that don't fit."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Shows forms to the users of callers that can show them at any time."""

    engine: Engine
    beat: float
    """Seconds after which a caller hears again what its call is at: some give up when they hear nothing."""

    async def asked(self, run: Run, caller: Caller) -> bool:
        """Ask the caller's user what a run waits for; tells whether something of it was answered."""
        if caller.ask is None:
            return False
        for view in await self.engine.waits(run.id, principal=caller.principal):
            shape = form(view.schema) if view.kind in ANSWERED else None
            if shape is not None and await self._ask(view, caller, caller.ask, shape):
                return True
        return False

    async def _ask(self, view: WaitView, caller: Caller, ask: Asking, shape: Mapping[str, Any]) -> bool:
        """Ask for one answer; tells whether the wait is over, whoever has answered it."""
        said = view.message
        for _ in range(TRIES):
            over, reply = await self._said(view, caller, ask, said, shape)
            if over or reply is None:
                return over
            try:
                await self.engine.resume(view.id, reply, door=DOOR, principal=caller.principal)
            except InputError as error:
                said = unfit(view.message, error.why or error.what)
            except ConflictError:
                return True  # somebody else was first
            else:
                return True
        return False

    async def _said(
        self, view: WaitView, caller: Caller, ask: Asking, said: str, shape: Mapping[str, Any]
    ) -> tuple[bool, Answer | Decline | None]:
        """Ask, as long as nobody answers elsewhere; returns whether somebody did, and what was said here."""
        over, reply = True, None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_closed, view, caller, tasks.cancel_scope)
            tasks.start_soon(self._beaten, caller, f"waits for an answer: {view.step}")
            reply = await ask(said, shape)
            over = False
            tasks.cancel_scope.cancel()
        return over, reply

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
