"""Fires what is due: timers of the store, and deadlines of running steps."""

from __future__ import annotations

import anyio

from agentflow.engine.exchange import Done
from agentflow.engine.host.core import Core
from agentflow.engine.host.takeover import Takeover
from agentflow.engine.plan.commands import TimerFired
from agentflow.store.rows import HELD

REFUSED = 0.25
"""Seconds until the next look, where another host has the run of a timer, or nobody may have it."""


class Timers:
    """Sleeps until the next time, again and again."""

    def __init__(self, core: Core, takeover: Takeover) -> None:
        """Fire nothing yet."""
        self._core = core
        self._takeover = takeover

    async def serve(self) -> None:
        """Fire what is due; never ends by itself."""
        core, times = self._core, self._core.times
        while True:
            times.earliest = None
            due = await core.store.next_due(self._takeover.roots, core.loader.holders, core.env.agents)
            deadline = times.first_deadline()
            coming = [time for time in (due, deadline) if time is not None and time < HELD]
            now = core.env.now()
            if coming and min(coming) <= now:
                await self._fire(now)
                continue
            with anyio.CancelScope() as scope:
                times.scope = scope
                if times.earliest is None:
                    if coming:
                        times.earliest = min(coming)
                        await core.env.clock.sleep_until(min(coming), core.idle)
                    else:
                        await anyio.sleep_forever()
            times.scope = None

    async def _fire(self, now: float) -> None:
        core = self._core
        for run, n, attempt in core.times.overdue(now):
            state = core.cache.runs.get(run)
            node = state.live.get(n) if state is not None else None
            if node is not None and node.attempt == attempt and node.lease is not None:
                node.lease.interrupt("timeout")
        due = await core.store.due(now, self._takeover.roots, core.loader.holders, agents=core.env.agents)
        await core.mailbox.take_inbox({root for root, _ in due})  # an answer that is there comes before a timeout
        waiting: list[Done] = []
        for root, timer in due:
            waiting.append(core.mailbox.ask(root, TimerFired(timer.run, timer.n, timer.kind, timer.entry)))
        refused = False
        for done in waiting:
            try:
                await done.wait()
            except Exception:  # logged where it came about
                done.held = False
            refused = refused or not done.held
        if refused:
            await self._takeover.find_dead()
            await anyio.sleep(REFUSED)
