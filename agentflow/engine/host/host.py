"""What a host does besides executing: looks for other processes' commits, and comes to its orderly end."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import anyio
from anyio.abc import TaskGroup

from agentflow.engine.host.core import Core
from agentflow.engine.host.retention import Retention
from agentflow.engine.host.takeover import HostMode, Takeover
from agentflow.engine.host.timers import Timers
from agentflow.engine.plan.commands import Release
from agentflow.errors import StoreError
from agentflow.reports import described

log = logging.getLogger("agentflow")

LOOK = 0.25
"""Seconds between two looks for commits of other processes."""
UNWIND = 5.0
"""Seconds that interrupted steps get to clean up."""
PATIENCE = 2.0
"""Seconds without a commit after which a host that ends waits for the store no longer."""


class Host:
    """Runs a core: the tasks beside the workers."""

    def __init__(self, core: Core, mode: HostMode) -> None:
        """Make a host that does nothing yet."""
        self.core = core
        self.takeover = Takeover(core, mode)
        self.timers = Timers(core, self.takeover)
        self.lost: list[str] = []
        """Addresses of steps that had ended when the host did, and whose end the store hasn't taken."""
        self._look = anyio.Event()
        self._shelters: list[anyio.CancelScope] = []
        self._over = False

    async def serve_workers(self, *, task_status: Any) -> None:
        """Run the workers; never ends by itself."""
        core = self.core
        with self.shelter():
            await core.runtime.serve(core.performer, slots=core.slots.limit, task_status=task_status)

    def start(self, group: TaskGroup) -> None:
        """Start the tasks."""
        core = self.core
        core.withdrawing.looks = self.takeover.mode == "all"
        for task in (core.pump, core.refolding.serve, core.noting.tell, self.timers.serve, core.withdrawing.serve):
            group.start_soon(self._guard, task)
        if core.handing is not None:
            group.start_soon(self._guard, core.handing.attend)
        group.start_soon(self._stand_down, group)
        if core.store.shared and self.takeover.mode != "none":
            group.start_soon(self._guard, self._watch)
            group.start_soon(self._guard, self.takeover.wake_granted)
            group.start_soon(core.store.liveness.listen, self.look)
        if self.takeover.mode == "all":
            group.start_soon(self._first_look)
            if core.env.keeps:
                group.start_soon(self._guard, Retention(core, core.env.keeps).serve)

    async def _stand_down(self, group: TaskGroup) -> None:
        """End the engine when the store is lost to it."""
        await self.core.health.over.wait()
        self.core.slots.stopping = True
        group.cancel_scope.cancel()

    def look(self) -> None:
        """Look for commands soon."""
        self._look.set()

    async def _guard(self, task: Callable[[], Awaitable[None]]) -> None:
        """Keep a task going: whatever goes wrong in it is logged, and it starts anew."""
        with self.shelter():
            while True:
                try:
                    await task()
                except Exception as error:
                    told = self.core.env.gate.text(described(error))
                    log.error("a task of the host failed and starts anew: %s", told)
                    self.core.health.notice(error)
                    await anyio.sleep(0.5)

    def shelter(self) -> anyio.CancelScope:
        """Return a scope for a task that only `end` cancels: whoever cancels the host from outside wants good order."""
        scope = anyio.CancelScope(shield=True)
        self._shelters.append(scope)
        if self._over:
            scope.cancel()
        return scope

    def end(self) -> None:
        """End the tasks, after `shutdown`."""
        self._over = True
        for scope in self._shelters:
            scope.cancel()

    async def _first_look(self) -> None:
        try:
            await self.takeover.claim()
            for agent, count in (await self.takeover.left_to_others()).items():
                left = f'{count} run{"s" * (count > 1)} of agent "{agent}"'
                log.warning('%s left alone: this host is one of agent "%s"', left, self.core.env.agent)
        except Exception as error:
            log.error("looking for runs to continue failed: %s", self.core.env.gate.text(described(error)))

    async def _watch(self) -> None:
        """Look for what other processes have committed, and for dead hosts."""
        rounds, changes = 0, self.core.store.changes()
        while True:
            with anyio.move_on_after(LOOK):
                await self._look.wait()
            rung = self._look.is_set()
            if rung:
                self._look = anyio.Event()
            rounds += 1
            changed = await changes.look()
            if not (changed or rung or rounds % 4 == 0):
                continue
            if changed or rung:
                self.core.times.look()  # there may be new timers
                if await self.core.mailbox.take_inbox(self.takeover.roots):
                    await anyio.lowlevel.checkpoint()  # they come first
                self.core.committer.tell_everybody()
            if self.takeover.mode == "all" or self.takeover.own:
                await self.takeover.claim()

    async def wake(self, holders: Sequence[str | None]) -> None:
        """Let a committed command be seen: by ourselves at once, by other hosts by their doorbell."""
        store = self.core.store
        if store.holder:
            for done in await self.core.mailbox.take_inbox(self.takeover.roots, taken_too=True):
                await done.wait()
        foreign = [name for name in holders if name and name != store.holder]
        if foreign or not all(holders):  # whoever has a tree that nobody holds: any of them may
            await store.liveness.ring(foreign or None)

    # the end

    def leave(self) -> None:
        """Start nothing more, and interrupt the steps that may run again; `shutdown` gives the others their time."""
        self._stop()
        for node in list(self.core.cache.live()):
            if node.lease is not None and not node.program.step.at_most_once:
                node.lease.interrupt("shutdown")

    def _stop(self) -> None:
        self.core.slots.stopping = True
        self.core.admission.end()
        if self.core.handing is not None:
            self.core.handing.leave()

    async def shutdown(self, grace: float) -> None:
        """Start nothing more, give running steps their time, then stop them in good order and let all trees go.

        What the store doesn't take is left, and counts as broken off by a crash.
        """
        core = self.core
        self._stop()
        with anyio.move_on_after(grace):
            await core.executed()
        for node in list(core.cache.live()):
            if node.lease is not None:
                node.lease.interrupt("shutdown")
        with anyio.move_on_after(UNWIND):
            await core.executed()
        if await core.saved(PATIENCE) or core.health.refused is not None:  # what was refused may have room now
            releases = [core.mailbox.ask(root, Release()) for root in core.cache.trees]
            with suppress(StoreError):  # then the others would be refused too
                for done in releases:
                    with anyio.move_on_after(PATIENCE) as waiting:
                        await done.wait()
                    if waiting.cancelled_caught:
                        break
        with anyio.move_on_after(UNWIND):
            await core.withdrawing.settled()
        self.lost = core.transactor.unsaved()
