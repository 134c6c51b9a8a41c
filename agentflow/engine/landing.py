"""Commits what a flush has planned, and sees to what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentflow.engine.flush import Flush
from agentflow.engine.holding import Holding
from agentflow.engine.inputs import Input
from agentflow.engine.plan import limits
from agentflow.engine.plan.commands import TOUCH
from agentflow.engine.runtime.base import Work
from agentflow.engine.state import RunState
from agentflow.engine.stored import landed
from agentflow.errors import StoreError
from agentflow.faultpoints import reach
from agentflow.store.contract import Store
from agentflow.store.rows import RunChange
from agentflow.store.told import Fenced


class Landing(Holding):
    """Holds trees, and commits what is planned for them."""

    def __init__(self, surroundings: dict[str, Any], store: Store, host_parallel: int) -> None:
        """Hold nothing yet."""
        super().__init__(surroundings, store, host_parallel)
        self.on_change: list[Callable[[], None]] = []
        self.on_commit: list[Callable[[Sequence[RunChange], Mapping[int, RunState]], None]] = []
        """Called after each commit with its changes, and the runs that it ended by key."""

    def tell_everybody(self) -> None:
        """Another process has committed something."""
        for hook in self.on_change:
            hook()

    async def land(self, flush: Flush) -> Sequence[Work]:
        """Commit what was planned, and return what may run now."""
        fenced: Sequence[Fenced] = ()
        if flush.changes:
            try:
                reach("before-commit")
                fenced = await self._commit(flush)
                self.refused = None
                reach("after-commit")
            except Exception as error:
                await self.undo(flush, error)
                return ()
        for refused in fenced:
            self._lost(refused.run, flush.held)
        self._settle(flush)
        if fenced:  # who waits for what we hold no more has to look at the store
            self.tell_everybody()
        trees, claimed = self.trees, flush.claimed
        ready = [
            Work(run.key, node.n, node.address, node.attempt, node.entry)
            for run, node in claimed
            if run.tree.key in trees and node.phase == "run"
        ]
        self.slots.running -= len(claimed) - len(ready)  # others wait for their keys, or their trees are lost
        return ready

    async def undo(self, flush: Flush, error: Exception) -> None:
        """Nothing was committed. After a fault of ours the same would happen once more, so the runs are let go."""
        self.slots.running -= len(flush.claimed)
        if isinstance(error, StoreError):
            again = await self._failed(flush.held, flush.trees, error)
            flush.later[:0] = again
        else:
            self._abandon(flush.held, flush.trees, error)
            self.tell_everybody()

    def put_back(self, flush: Flush) -> None:
        """Leave as inputs, in order, what is to be done again, and what has come in for these trees meanwhile."""
        self._inputs.extendleft(reversed(flush.later))

    async def commit(self, changes: Sequence[RunChange]) -> Sequence[Fenced]:
        """Commit changes, with the definitions that new runs need: the store may not have them, or no more."""
        wanted: dict[str, bytes] = {}
        for change in changes:
            new = change.create
            if new is not None:
                for name in (new.definition, *(new.pins.values() if new.parent is None else ())):
                    raw = self.catalog.raw(name)
                    if raw is not None:
                        wanted[name] = raw
        return await self.store.commit(changes, wanted)

    async def _commit(self, flush: Flush) -> Sequence[Fenced]:
        """Commit; where a fault of ours is in the way, each tree by itself: it is of one of them."""
        held, trees = flush.held, flush.trees
        try:
            return await self.commit(flush.changes)
        except Exception as error:
            if isinstance(error, StoreError) or len(trees) < 2:
                raise
        fenced: list[Fenced] = []
        for tree in trees:
            own = [run.change for run in tree.touched.values() if run.change is not None]
            for change in own:
                change.grants = change.deadlocked = change.queued = ()
            try:
                fenced.extend(await self.commit(own))
            except Exception as error:
                for change in own:
                    change.stamp = None
                self._abandon([item for item in held if item.root == tree.key], [tree], error)
                self.tell_everybody()
        return fenced

    def _settle(self, flush: Flush) -> None:
        """After the commit: let go what has ended or is parked, tell who waits."""
        changes = flush.changes
        over: dict[int, RunState] = {}
        for tree in flush.trees:
            unclaimed: list[RunState] = []
            for run in list(tree.touched.values()):
                change, run.change = run.change, None
                if run.ended:
                    over[run.key] = run
                    if run.key != tree.key:
                        self._forget(run)
                if change is not None:
                    self._landed(run, change)
                    if change.queued and (run.waits or run.children):  # perhaps only waits are left
                        unclaimed.append(run)
            tree.touched.clear()
            if unclaimed:
                tree.touched.update({run.key: run for run in unclaimed})
                self.put(Input(tree.key, TOUCH))
            if tree.broken_off and tree.key in self.trees:
                tree.broken_off = False
                self.put(Input(tree.key, TOUCH))
        self.slots_told(changes)
        for hook in self.on_commit:
            hook(changes, over)
        for item in flush.held:
            if item.done is not None:
                item.done.event.set()

    def _landed(self, run: RunState, change: RunChange) -> None:
        """A run's change is committed: note what follows from it."""
        landed(run, change)
        if change.queued:
            for row in change.queued:
                limits.unclaim(run, row)
            self.slots.queue(run)
        if change.inbox_done:
            self._seen.difference_update(change.inbox_done)
        if change.timers:
            self.slots.new_timers(change.timers)
        if change.patch is not None and change.patch.paused is False:
            self.slots.note(self.now())  # its timers count again, and some may be due
        if change.subscriptions:
            self.look_at_inbox()
        if change.release and not change.stays:
            self._drop(run.tree)
