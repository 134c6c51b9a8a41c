"""Takes in a run's events for who follows it: in batches, each once, and what no event tells when it is needed."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio

from agentflow.cli.tree import RunTree
from agentflow.engine import Engine
from agentflow.engine.counts import given
from agentflow.store.rows import Event


class Intake:
    """The events of one run and of the runs below it."""

    def __init__(self, engine: Engine, run_id: str, tree: RunTree) -> None:
        """Take in nothing yet."""
        self.engine = engine
        self.run_id = run_id
        self.tree = tree
        self.start = 0
        """Where to begin in the log."""
        self._queue: list[Event] = []
        self._arrived = anyio.Event()
        self._over = False
        self._addresses: dict[str, dict[int, str]] = {}
        """Addresses of a run's steps by their numbers, as far as somebody asked."""

    @property
    def more(self) -> bool:
        """Whether events have come that nobody has taken."""
        return bool(self._queue)

    async def pump(self) -> None:
        """Hear events until the run ends."""
        stream: AsyncGenerator[Event] = self.engine.subscribe(self.run_id, self.start, tree=True)
        async with aclosing(stream) as events:
            async for event in events:
                self._queue.append(event)
                self._arrived.set()
        self._over = True
        self._arrived.set()

    async def batch(self) -> list[Event]:
        """Return all that has come, at least one, losing none when it is cancelled; nothing when no more will come."""
        while not self._queue and not self._over:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        taken, self._queue = self._queue, []
        return taken

    async def place(self, event: Event) -> None:
        """Hang a child run below the step that started it, where its own events don't tell: older ones don't."""
        if event.type == "run_started" or self.tree.knows(event.run_id):
            return
        child = await self.engine.store.get_run(event.run_id)
        if child is None or child.parent_id is None or child.parent_step is None:
            return
        address = await self._address(child.parent_id, child.parent_step)
        if address is not None:
            self.tree.hang(event.run_id, child.parent_id, address)

    async def _address(self, run_id: str, n: int) -> str | None:
        known = self._addresses.get(run_id, {})
        if n not in known:
            rows, _ = await self.engine.store.salvage_steps(run_id)
            known = self._addresses[run_id] = {row.n: row.address for row in rows}
        return known.get(n)

    async def learn(self) -> None:
        """Look up what no event tells: of older logs how many items a loop has, and which step waits for a time."""
        active = self.tree.active()
        if not active and not self.tree.ended_run:
            await self._learn_timers()
        for row in active:
            if row.is_loop and row.total is None and row.size is None:
                step = await self.engine.store.get_step(row.run_id, row.address)
                row.total = given(step) if step is not None else 0

    async def _learn_timers(self) -> None:
        run = await self.engine.store.get_run(self.run_id)
        if run is None:
            return
        for _, timer in await self.engine.store.due(math.inf, [run.root], limit=100):
            address = await self._address(self.run_id, timer.n) if timer.run == run.run and timer.n >= 0 else None
            if address is None or timer.kind != "timer":
                continue
            row = self.tree.row(self.run_id, address)
            if not row.over:
                row.state, row.due = "working", timer.due
                row.moved()
