"""Ends elsewhere what steps have begun there, once they are over without having got it.

What turns of agents have begun the store knows before the step does: whatever dies, the next host finds what is left.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

import anyio

from agentflow.data import encode, salvaged
from agentflow.engine.host.environment import Environment
from agentflow.engine.plan.effects import Withdraw
from agentflow.engine.plan.nodes import Node
from agentflow.reports import described
from agentflow.store.contract import Store
from agentflow.store.elsewhere import Begun

log = logging.getLogger("agentflow")

LOOK = 300.0
"""Seconds until it is looked again for what is left: agents that couldn't be reached may be there again."""


class Withdrawing:
    """Tells agents elsewhere to stop, beside everything else: none of them holds up another one, or a run."""

    def __init__(self, env: Environment, store: Store, new_event: Callable[[], anyio.Event]) -> None:
        """End nothing yet.

        Args:
            env: knows the step types, and what reaches the agents.
            store: keeps what was begun.
            new_event: makes events.
        """
        self._env = env
        self._store = store
        self._new_event = new_event
        self._waiting: deque[Withdraw] = deque()
        self._some = new_event()
        self._done = new_event()
        self._open = 0
        self._turns: set[str] = set()
        """Those whose things are being ended."""
        self.looks = False
        """Whether it looks for what others have left: a host of all runs does."""

    async def note(self, node: Node, agent: str, state: object) -> None:
        """Keep what a step is about to save, if that is something to be ended elsewhere; None: there is nothing."""
        turn = node.decided.turn
        if turn is None:
            return
        if state is None:
            await self._store.elsewhere.forget((turn,))
        else:
            await self._store.elsewhere.note(Begun(turn, agent, node.program.spec.name, node.address, encode(state)))

    def put(self, what: Withdraw) -> None:
        """End something soon."""
        if what.turn is None or what.turn not in self._turns:
            self._waiting.append(what)
            self._open += 1
            self._some.set()
        if what.turn is not None:
            self._turns.add(what.turn)

    async def serve(self) -> None:
        """End what comes, and what others have left; never ends by itself."""
        async with anyio.create_task_group() as group:
            while True:
                if self.looks:
                    await self._look()
                with anyio.move_on_after(LOOK):
                    while True:
                        while self._waiting:
                            group.start_soon(self._end, self._waiting.popleft())
                        self._some = self._new_event()
                        await self._some.wait()

    async def _look(self) -> None:
        """Find what was left: by a host that has died, or as its agent couldn't be reached."""
        for begun in await self._store.elsewhere.left(self._env.agents):
            spec = self._env.types(begun.type)
            if spec is not None and spec.withdraw is not None:
                self.put(Withdraw(begun.turn, begun.step, spec.withdraw, salvaged(begun.state)))

    async def _end(self, what: Withdraw) -> None:
        try:
            if not what.answered:
                await what.withdraw(what.state, self._env.services)
            if what.turn is not None:
                await self._store.elsewhere.forget((what.turn,))
        except Exception as error:  # it goes on there, and is looked for again; the run is over all the same
            told = self._env.gate.text(described(error))
            log.warning("what step %s has begun elsewhere can't be ended: %s", what.address, told)
        finally:
            self._open -= 1
            self._turns.discard(what.turn or "")
            self._done.set()

    async def settled(self) -> None:
        """Return when all has been ended."""
        while self._open:
            self._done = self._new_event()
            await self._done.wait()
