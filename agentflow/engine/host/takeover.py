"""Which trees this host cares for, and how it gets them: those of dead hosts, and those that nobody holds."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Literal

import anyio

from agentflow.engine.host.core import Core
from agentflow.engine.host.lacking import LackingError, others_live
from agentflow.engine.plan.commands import TOUCH, Answer, FreeSlots
from agentflow.errors import StoreError
from agentflow.store.common import passed
from agentflow.store.rows import TERMINAL, AnswerRow, RunChange

HostMode = Literal["all", "own", "none"]


class Takeover:
    """Takes trees."""

    def __init__(self, core: Core, mode: HostMode) -> None:
        """Care for nothing yet."""
        self.mode: HostMode = mode
        self.own: set[int] = set()
        """Roots that this host executes, in mode `own`."""
        self._core = core
        self._store = core.store
        self._granted: set[str] = set()
        """Hosts of trees that our commits have given slots to."""
        self._given = anyio.Event()
        core.committer.on_commit.append(self._committed)
        core.mailbox.roots = lambda: self.roots

    @property
    def roots(self) -> Collection[int] | None:
        """The roots that this host cares for; None: all."""
        return None if self.mode == "all" else list(self.own)

    async def claim(self) -> None:
        """Take what is to be executed and has no live host."""
        core = self._core
        if core.slots.stopping:
            return
        await self.find_dead()
        for root in await self._store.claimable((None, *core.loader.dead), self.roots, agents=core.env.agents):
            if root not in core.cache.trees:
                core.mailbox.put(root, TOUCH)
        if core.loader.dead:
            await self._free_slots()

    async def _free_slots(self) -> None:
        """Get the slots that steps here wait for and trees of dead hosts hold, which nobody else may go on with."""
        core, cache = self._core, self._core.cache
        keys = {node.slot for run in cache.runs.values() for node in run.queueing.values() if node.slot}
        for root, agent in await self._store.slot_holders(keys, core.loader.dead) if keys else ():
            if root in cache.trees or root in cache.unreadable:
                continue
            if agent not in core.env.agents:
                with suppress(StoreError):  # looked at again
                    await core.loader.free_slots(root)
            elif self.mode == "own" and await self._freed(root) and root in cache.trees:
                self.own.add(root)  # what is half done in it goes on here

    async def _freed(self, root: int) -> bool:
        """Give back the slots of a tree. Once that is read it is ours, so whatever else happens to it comes after."""
        while True:
            try:
                return await self._core.mailbox.apply(root, FreeSlots())
            except StoreError:  # logged where it came about
                if root not in self._core.cache.trees:
                    return False  # looked at again

    async def left_to_others(self) -> dict[str, int]:
        """Return how many trees that no live host has are to be executed by hosts of other agents, by agent."""
        return await self._store.left_to_others((None, *self._core.loader.dead), self._core.env.agents)

    async def find_dead(self) -> None:
        """Find out which holders live no more."""
        if self.mode != "none":
            dead = await self._store.liveness.dead(await self._store.hosts())
            if not dead <= self._core.loader.dead:
                self._core.times.look()  # what they left may be due
            self._core.loader.dead = dead

    async def take(self, root: int) -> bool:
        """Execute a tree from now on, if no live host has it.

        Raises:
            LackingError: it needs what this process lacks, and no other host lives.
        """
        await self.find_dead()
        if self.mode != "all":
            self.own.add(root)
        self._core.times.look()  # it may have timers
        held = await self._core.mailbox.apply(root, TOUCH)
        if not held:
            self.own.discard(root)
            lacks = self._core.cache.unreadable.get(root)
            if isinstance(lacks, LackingError) and not await others_live(self._store):
                raise lacks
        return held

    async def answer(self, root: int, agent: str, row: AnswerRow) -> bool:
        """Answer a wait and go on with its tree, in one commit.

        Returns:
            False: another process holds the tree, or is to hold it as it is of another agent, or the wait isn't open
                any more.
        """
        core, cache = self._core, self._core.cache
        if self.mode == "none" or core.slots.stopping or root in cache.unreadable:
            return False
        if agent not in core.env.agents or (self.mode == "own" and root not in self.own):
            return False
        try:
            return await core.mailbox.apply(root, Answer(row.run, row.n, row.task, passed(row), row=row))
        except StoreError:
            if root in cache.unreadable:
                raise
            return False  # logged where it came about

    async def wake_granted(self) -> None:
        """Wake the hosts that find a slot among their commands; never ends by itself."""
        while True:
            await self._given.wait()
            self._given = anyio.Event()
            names, self._granted = self._granted, set()
            await self._store.liveness.ring(names)

    def _committed(self, changes: Collection[RunChange], _: object) -> None:
        for change in changes:
            if change.grants:
                own = self._store.holder
                self._granted.update(g.holder for g in change.grants if g.holder and g.holder != own)
        if self._granted:
            self._given.set()
        if self.mode == "all":
            return
        for change in changes:
            if change.run == change.root and change.create is not None:
                self.own.add(change.root)
            if change.run == change.root and change.patch is not None and change.patch.state in TERMINAL:
                self.own.discard(change.root)
