"""What a host does besides executing: timers, commands of other processes, runs of dead hosts, its own orderly end."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress
from typing import Literal

import anyio
from anyio.abc import TaskGroup

from agentflow.engine.core import Core
from agentflow.engine.hosting import HostLock, answer_bell, ring
from agentflow.engine.inputs import Done, Input
from agentflow.engine.plan.commands import TOUCH, AnswerOnTaking, FreeSlots, Release, TimerFired
from agentflow.errors import StoreError
from agentflow.reports import described
from agentflow.store.contract import Store
from agentflow.store.rows import (
    HELD,
    TERMINAL,
    AnswerRow,
    RunChange,
)

log = logging.getLogger("agentflow")

LOOK = 0.25
"""Seconds between two looks for commits of other processes."""
UNWIND = 5.0
"""Seconds that interrupted steps get to clean up."""
PATIENCE = 2.0
"""Seconds without a commit after which a host that ends waits for the store no longer."""
HostMode = Literal["all", "own", "none"]


class Host:
    """Runs a core: the tasks beside the workers."""

    def __init__(self, core: Core, store: Store, mode: HostMode, lock: HostLock | None) -> None:
        """Make a host that does nothing yet."""
        self.core = core
        self.store = store
        self.mode: HostMode = mode
        self.lock = lock
        self.own: set[int] = set()
        """Roots that this host executes, in mode `own`."""
        self.lost: list[str] = []
        """Addresses of steps that had ended when the host did, and whose end the store hasn't taken."""
        self._look = anyio.Event()
        self._shelters: list[anyio.CancelScope] = []
        self._over = False
        core.on_commit.append(self._committed)
        core.roots = lambda: self.roots

    def start(self, group: TaskGroup) -> None:
        """Start the tasks."""
        group.start_soon(self._guard, self.core.pump)
        group.start_soon(self._guard, self.core.refolding.serve)
        group.start_soon(self._guard, self.core.telling.tell)
        group.start_soon(self._guard, self._timers)
        group.start_soon(self._stand_down, group)
        if self.lock is not None:
            group.start_soon(self._guard, self._watch)
            group.start_soon(answer_bell, self.lock, self.look)
        if self.mode == "all":
            group.start_soon(self._first_look)

    async def _stand_down(self, group: TaskGroup) -> None:
        """End the engine when the store is lost to it."""
        await self.core.over.wait()
        self.core.stopping = True
        group.cancel_scope.cancel()

    def look(self) -> None:
        """Look for commands soon."""
        self._look.set()

    async def _guard(self, task: object) -> None:
        """Keep a task going: whatever goes wrong in it is logged, and it starts anew."""
        with self.shelter():
            while True:
                try:
                    await task()  # type: ignore[operator]
                except Exception as error:
                    log.error("a task of the host failed and starts anew: %s", self.core.gate.text(described(error)))
                    self.core.notice(error)
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

    # takeover and commands

    async def _first_look(self) -> None:
        await self._guarded_claim()

    async def _guarded_claim(self) -> None:
        try:
            await self.claim()
        except Exception as error:
            log.error("looking for runs to continue failed: %s", self.core.gate.text(described(error)))

    @property
    def roots(self) -> Collection[int] | None:
        """The roots that this host cares for; None: all."""
        return None if self.mode == "all" else list(self.own)

    async def claim(self) -> None:
        """Take what is to be executed and has no live host."""
        if self.core.stopping:
            return
        await self.find_dead()
        for root in await self.store.claimable(self.core.dead, roots=self.roots):
            if root not in self.core.trees:
                self.core.put(Input(root, TOUCH))
        if self.mode == "own":
            await self._free_slots()

    async def _free_slots(self) -> None:
        """Get the slots that steps here wait for and trees of dead hosts hold, which nobody else may go on with."""
        keys = {node.slot for run in self.core.runs.values() for node in run.queueing.values() if node.slot}
        if keys and self.core.dead:
            for root in await self.store.slot_holders(keys, self.core.dead):
                if root in self.core.trees or root in self.core.unreadable:
                    continue
                if await self.core.apply(root, FreeSlots()) and root in self.core.trees:
                    self.own.add(root)  # what is half done in it goes on here

    async def find_dead(self) -> None:
        """Find out which holders live no more."""
        if self.lock is not None:
            dead = self.lock.dead(await self.store.hosts())
            if not dead <= self.core.dead:
                self.core.slots.note(self.core.now())  # what they left may be due
            self.core.dead = dead

    async def take(self, root: int) -> bool:
        """Execute a tree from now on, if no live host has it."""
        await self.find_dead()
        if self.mode != "all":
            self.own.add(root)
        self.core.slots.note(self.core.now())  # it may have timers
        done = Done(self.core.signals.new())
        self.core.put(Input(root, TOUCH, done))
        await done.wait()
        if not done.held:
            self.own.discard(root)
        return done.held

    async def answer(self, root: int, answer: AnswerRow) -> bool:
        """Answer a wait of a tree that nobody holds, and go on with it, in one commit; False: it can't be done so."""
        core = self.core
        if self.mode == "none" or core.stopping or root in core.trees or root in core.unreadable:
            return False
        if self.mode == "own" and root not in self.own:
            return False
        carry_out = AnswerOnTaking(answer)
        try:
            return await core.apply(root, carry_out) and carry_out.done
        except StoreError:
            if root in core.unreadable:
                raise
            return False  # logged where it came about

    async def _watch(self) -> None:
        """Look for what other processes have committed, and for dead hosts."""
        rounds = 0
        while True:
            with anyio.move_on_after(LOOK):
                await self._look.wait()
            rung = self._look.is_set()
            if rung:
                self._look = anyio.Event()
            rounds += 1
            changed = self.store.changed()
            if not (changed or rung or rounds % 4 == 0):
                continue
            if changed or rung:
                self.core.slots.note(self.core.now())  # there may be new timers
                if await self.core.take_inbox(self.roots):
                    await anyio.lowlevel.checkpoint()  # they come first
                self.core.tell_everybody()
            if self.mode == "all" or self.own:
                await self.claim()

    # timers

    def _committed(self, changes: Collection[RunChange], _: object) -> None:
        for change in changes:
            if change.grants:
                others = [grant.holder for grant in change.grants if grant.holder != self.store.holder]
                ring(self.store.directory, others)
        if self.mode == "all":
            return
        for change in changes:
            if change.run == change.root and change.create is not None:
                self.own.add(change.root)
            if change.run == change.root and change.patch is not None and change.patch.state in TERMINAL:
                self.own.discard(change.root)

    async def _timers(self) -> None:
        core, slots = self.core, self.core.slots
        while True:
            slots.earliest = None
            due = await self.store.next_due(self.roots, self.core.dead)
            deadline = slots.first_deadline()
            times = [time for time in (due, deadline) if time is not None and time < HELD]
            now = core.now()
            if times and min(times) <= now:
                await self._fire(now)
                continue
            with anyio.CancelScope() as scope:
                core.timer_scope = scope
                if slots.earliest is None:
                    if times:
                        slots.earliest = min(times)
                        await core.clock.sleep_until(min(times), core.idle)
                    else:
                        await anyio.sleep_forever()
            core.timer_scope = None

    async def _fire(self, now: float) -> None:
        core = self.core
        for run, n, attempt in core.slots.overdue(now):
            state = core.runs.get(run)
            node = state.live.get(n) if state is not None else None
            if node is not None and node.attempt == attempt and node.lease is not None:
                node.lease.interrupt("timeout")
        await core.take_inbox(self.roots)  # an answer that is there already comes before a timeout
        waiting: list[Done] = []
        for root, timer in await self.store.due(now, self.roots, dead=self.core.dead):
            done = Done(self.core.signals.new())
            core.put(Input(root, TimerFired(timer.run, timer.n, timer.kind, timer.entry), done))
            waiting.append(done)
        refused = False
        for done in waiting:
            try:
                await done.wait()
            except Exception:  # logged where it came about
                done.held = False
            refused = refused or not done.held
        if refused:
            # another host has the run and fires it; or nobody may, and we look again
            await self.find_dead()
            await anyio.sleep(LOOK)

    # the end

    def leave(self) -> None:
        """Start nothing more, and interrupt the steps that may run again; `shutdown` gives the others their time."""
        self._stop()
        for node in self.core.live():
            if node.lease is not None and not node.program.step.at_most_once:
                node.lease.interrupt("shutdown")

    def _stop(self) -> None:
        self.core.stopping = True
        self.core.admission.end()

    async def shutdown(self, grace: float) -> None:
        """Start nothing more, give running steps their time, then stop them in good order and let all trees go.

        What the store doesn't take is left, and counts as broken off by a crash.
        """
        core = self.core
        self._stop()
        with anyio.move_on_after(grace):
            await core.executed()
        for node in core.live():
            if node.lease is not None:
                node.lease.interrupt("shutdown")
        with anyio.move_on_after(UNWIND):
            await core.executed()
        if await core.saved(PATIENCE) or core.refused is not None:  # what was refused may have room now
            releases = [Done(core.signals.new()) for _ in core.trees]
            for root, done in zip(core.trees, releases, strict=True):
                core.put(Input(root, Release(), done))
            with suppress(StoreError):  # then the others would be refused too
                for done in releases:
                    with anyio.move_on_after(PATIENCE) as waiting:
                        await done.wait()
                    if waiting.cancelled_caught:
                        break
        self.lost = core.unsaved()
