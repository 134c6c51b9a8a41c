"""Waits for runs, no longer than this process serves."""

from __future__ import annotations

from contextlib import aclosing

import anyio

from agentflow.engine import Engine, Run
from agentflow.principal import Principal


class Waiting:
    """Waits for runs. Once it lets go, nobody waits here any more: who does is told how the run is then."""

    def __init__(self, engine: Engine) -> None:
        """Wait for the runs of an engine."""
        self._engine = engine
        self._scopes: set[anyio.CancelScope] = set()
        self._over = False

    async def run(self, run_id: str, seconds: float, principal: Principal) -> Run:
        """Return a run when it has ended or waits for something, or the time is over."""
        scope = anyio.CancelScope()
        self._scopes.add(scope)
        try:
            with scope:
                return await self._engine.wait(run_id, 0.0 if self._over else seconds, principal=principal)
        finally:
            self._scopes.discard(scope)
        return await self._engine.get(run_id, principal=principal)

    async def changed(self, run: Run, seconds: float, principal: Principal) -> None:
        """Return when something has happened in a run since it was read, or the time is over."""
        scope = anyio.CancelScope(deadline=anyio.current_time() + (0.0 if self._over else seconds))
        self._scopes.add(scope)
        try:
            with scope:
                async with aclosing(self._engine.subscribe(run.id, run.seq, principal=principal)) as events:
                    await anext(events, None)
        finally:
            self._scopes.discard(scope)

    @property
    def over(self) -> bool:
        """Whether it has let go."""
        return self._over

    def let_go(self) -> None:
        """End all waiting."""
        self._over = True
        for scope in self._scopes:
            scope.cancel()
