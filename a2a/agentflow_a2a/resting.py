"""Waits until a run has ended or waits for answers; no longer than this process serves."""

from __future__ import annotations

import anyio

from agentflow.engine import Engine
from agentflow.errors import AgentflowError
from agentflow.principal import Principal
from agentflow.store.rows import TERMINAL
from agentflow_a2a.refusals import refusal


class Resting:
    """Waits for runs, until `leaving` is set: who waits then gets the task as it is."""

    def __init__(self, engine: Engine, leaving: anyio.Event) -> None:
        """Made over an open engine."""
        self._engine = engine
        self._leaving = leaving

    async def rest(self, run_id: str, principal: Principal) -> None:
        """Wait until a run has ended or waits for answers."""
        failed: AgentflowError | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._leave, group.cancel_scope)
            try:
                await self._engine.wait(run_id, principal=principal)
            except AgentflowError as error:
                failed = error
            group.cancel_scope.cancel()
        if failed is not None:
            raise refusal(failed)

    async def end(self, run_id: str, principal: Principal, seconds: float) -> None:
        """Wait until a run has ended, for some seconds."""
        with anyio.move_on_after(seconds):
            found = await self._engine.told.find(run_id, principal)
            async for _ in self._engine.told.changes(run_id, found.generation - 1, principal):
                if (await self._engine.get(run_id, output=False, principal=principal)).state in TERMINAL:
                    return

    async def _leave(self, scope: anyio.CancelScope) -> None:
        await self._leaving.wait()
        scope.cancel()
