"""Takes back what turns of agents have asked for elsewhere, once they have ended without having got it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

import anyio

from agentflow.engine.gate import Gate
from agentflow.engine.plan.effects import Withdraw
from agentflow.reports import described
from agentflow.steps.contract import Services

log = logging.getLogger("agentflow")


class Withdrawing:
    """Tells agents elsewhere to stop, beside everything else: none of them holds up another one, or a run."""

    def __init__(self, services: Services, gate: Gate, new_event: Callable[[], anyio.Event]) -> None:
        """Take back nothing yet.

        Args:
            services: what reaches the agents.
            gate: what is told goes through it.
            new_event: makes events.
        """
        self._services = services
        self._gate = gate
        self._new_event = new_event
        self._waiting: deque[Withdraw] = deque()
        self._some = new_event()
        self._done = new_event()
        self._open = 0

    def put(self, what: Withdraw) -> None:
        """Take something back soon."""
        self._waiting.append(what)
        self._open += 1
        self._some.set()

    async def serve(self) -> None:
        """Take back what comes; never ends by itself."""
        async with anyio.create_task_group() as group:
            while True:
                while self._waiting:
                    group.start_soon(self._take_back, self._waiting.popleft())
                self._some = self._new_event()
                await self._some.wait()

    async def _take_back(self, what: Withdraw) -> None:
        try:
            await what.withdraw(what.state, self._services)
        except Exception as error:  # what it has begun goes on there; the run is over all the same
            told = self._gate.text(described(error))
            log.warning("what step %s has begun elsewhere can't be ended: %s", what.address, told)
        finally:
            self._open -= 1
            self._done.set()

    async def settled(self) -> None:
        """Return when all has been taken back."""
        while self._open:
            self._done = self._new_event()
            await self._done.wait()
