"""Waits until a run has ended or waits for answers; no longer than this process serves, or somebody wants to know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from agentflow.engine import Engine
from agentflow.errors import AgentflowError
from agentflow.principal import Principal
from agentflow.store.rows import TERMINAL, RunRow
from agentflow_a2a.refusals import refusal

SOON = 0.05
"""Seconds in which nobody looks whether the caller, or the server, is still there: most runs don't take so long."""


class Resting:
    """Waits for runs, until `leaving` is set: who waits then gets the task as it is."""

    def __init__(self, engine: Engine, leaving: anyio.Event) -> None:
        """Made over an open engine."""
        self._engine = engine
        self._leaving = leaving

    async def rest(self, run_id: str, principal: Principal, gone: Callable[[], Awaitable[None]]) -> RunRow | None:
        """Wait until a run has ended or waits for answers, or the caller is gone; returns it as it is then, if so."""
        try:
            with anyio.move_on_after(SOON):
                return await self._engine.following.rest(run_id, None, principal)
            return await self._long(run_id, principal, gone)
        except AgentflowError as error:
            raise refusal(error) from None

    async def _long(self, run_id: str, principal: Principal, gone: Callable[[], Awaitable[None]]) -> RunRow | None:
        found: RunRow | None = None
        failed: AgentflowError | None = None
        async with anyio.create_task_group() as group:
            for end in (gone, self._leaving.wait):
                group.start_soon(_until, end, group.cancel_scope)
            try:
                found = await self._engine.following.rest(run_id, None, principal)
            except AgentflowError as error:
                failed = error
            group.cancel_scope.cancel()
        if failed is not None:
            raise failed
        return found

    async def end(self, run_id: str, principal: Principal, seconds: float) -> None:
        """Wait until a run has ended, for some seconds."""
        with anyio.move_on_after(seconds):
            found = await self._engine.told.find(run_id, principal)
            async for _ in self._engine.told.changes(run_id, found.generation - 1, principal):
                if (await self._engine.get(run_id, output=False, principal=principal)).state in TERMINAL:
                    return


async def _until(end: Callable[[], Awaitable[object]], scope: anyio.CancelScope) -> None:
    await end()
    scope.cancel()
