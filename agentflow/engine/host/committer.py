"""Commits what a flush has planned, and sees to what follows from it; undoes it where nothing was committed."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, cast

import anyio

from agentflow.engine.host.cache import TreeCache
from agentflow.engine.host.damaged import is_damaged
from agentflow.engine.host.effects import carry_out
from agentflow.engine.host.environment import Environment
from agentflow.engine.host.flush import Flush, Work
from agentflow.engine.host.health import Health
from agentflow.engine.host.loading import Loader
from agentflow.engine.host.queue import Input, Item, Queue
from agentflow.engine.host.slots import Slots
from agentflow.engine.host.stored import note_committed
from agentflow.engine.host.times import Times
from agentflow.engine.host.withdrawing import Withdrawing
from agentflow.engine.plan import limits
from agentflow.engine.plan.commands import TOUCH, Answer, Outcome
from agentflow.engine.plan.state import RunState, Tree
from agentflow.errors import StoreError
from agentflow.faultpoints import reach
from agentflow.reports import described
from agentflow.store.acknowledgement import Fenced
from agentflow.store.contract import Store
from agentflow.store.rows import RunChange

log = logging.getLogger("agentflow")

PAUSE = 0.2
"""Seconds after which the store is asked again that has refused something."""

_work = cast("Callable[[Any, Any], Work]", tuple.__new__)
"""Makes one, as `Work(…)` does with a function around it: there is one for each step."""


class Committer:
    """Commits transitions."""

    def __init__(
        self,
        env: Environment,
        store: Store,
        cache: TreeCache,
        queue: Queue,
        slots: Slots,
        times: Times,
        health: Health,
        loader: Loader,
        withdrawing: Withdrawing,
    ) -> None:
        """Commit nothing yet."""
        self.on_change: list[Callable[[], None]] = []
        """Called when another process has committed something."""
        self.on_commit: list[Callable[[Sequence[RunChange], Mapping[int, RunState]], None]] = []
        """Called after each commit with its changes, and the runs that it ended by key."""
        self.on_refusal: Callable[[], None] = lambda: None
        """Called when nothing was committed."""
        self.pause: Callable[[float], Awaitable[None]] = anyio.sleep
        """Waits before the store is asked again that has refused something."""
        self._env = env
        self._store = store
        self._cache = cache
        self._queue = queue
        self._slots = slots
        self._times = times
        self._health = health
        self._loader = loader
        self._withdrawing = withdrawing

    def tell_everybody(self) -> None:
        """Another process has committed something."""
        for hook in self.on_change:
            hook()

    async def commit(self, flush: Flush) -> Sequence[Work]:
        """Commit what was planned, and return what may run now."""
        fenced: Sequence[Fenced] = ()
        if flush.changes:
            try:
                reach("before-commit")
                fenced = await self._write_all(flush)
                self._health.refused = None
                reach("after-commit")
            except Exception as error:
                await self.undo(flush, error)
                return ()
        if fenced:
            fenced = await self._give_way(flush, fenced)
        for refused in fenced:
            self._loader.lose(refused.run, flush.held)
        self._settle(flush)
        if fenced:  # who waits for what we hold no more has to look at the store
            self.tell_everybody()
        trees, claimed = self._cache.trees, flush.claimed
        ready = [
            _work(Work, (run.key, node.n, node.attempt, False))
            for run, node in claimed
            if trees.get(run.tree.key) is run.tree and node.phase == "run"
        ]
        for run, node in flush.taken:
            if trees.get(run.tree.key) is run.tree and node.phase == "run":
                ready.append(Work(run.key, node.n, node.attempt, again=True))
        # others wait for their keys, or their trees are lost
        self._slots.running -= len(claimed) + len(flush.taken) - len(ready)
        return ready

    def write(self, changes: Sequence[RunChange]) -> Awaitable[Sequence[Fenced]]:
        """Write changes, with the definitions that new runs need: the store may not have them, or no more."""
        wanted: dict[str, bytes] | None = None
        for change in changes:
            new = change.create
            if new is not None:
                wanted = wanted or {}
                for name in (new.definition, *(new.pins.values() if new.parent is None else ())):
                    raw = self._env.catalog.raw(name)
                    if raw is not None:
                        wanted[name] = raw
        return self._store.commit(changes, wanted)

    async def _write_all(self, flush: Flush) -> Sequence[Fenced]:
        """Write all; where a fault of ours is in the way, each tree by itself: it is of one of them."""
        held, trees = flush.held, flush.trees
        try:
            return await self.write(flush.changes)
        except Exception as error:
            if isinstance(error, StoreError) or len(trees) < 2:
                raise
        fenced: list[Fenced] = []
        for tree in trees:
            own = [run.change for run in tree.touched.values() if run.change is not None]
            for change in own:
                change.grants = change.deadlocked = change.queued = ()
            try:
                fenced.extend(await self.write(own))
            except Exception as error:
                for change in own:
                    change.stamp = None
                self._abandon([item for item in held if item.root == tree.key], [tree], error)
                self.tell_everybody()
        return fenced

    async def _give_way(self, flush: Flush, fenced: Sequence[Fenced]) -> Sequence[Fenced]:
        """Somebody else was quicker with an answer: what was planned with ours is planned anew, with theirs.

        Returns:
            The changes that were refused for other reasons.
        """
        gone: set[int] = set()
        for tree in flush.trees:
            late = tree.root.change.late if tree.root.change is not None else ()
            if late:
                gone.add(tree.key)
                again = [item for item in flush.held if item.root == tree.key and not self._is_late(item, late)]
                flush.again += again
                fenced = [refused for refused in fenced if refused.run not in tree.runs]
                _not_begun(flush, tree)
                await self._rebuild(tree, again)
        if gone:
            flush.trees = [tree for tree in flush.trees if tree.key not in gone]
            flush.held = [item for item in flush.held if item.root not in gone]
            flush.changes = [change for change in flush.changes if change.root not in gone]
        return fenced

    def _is_late(self, item: Item, late: Collection[str]) -> bool:
        """Tell whether a command is an answer that came too late; who gave it is told so."""
        if isinstance(item, Outcome) or not isinstance(item.command, Answer):
            return False
        if item.command.row is None or item.command.row.task not in late:
            return False
        self._queue.refuse(item)
        return True

    # what follows from a commit

    def _settle(self, flush: Flush) -> None:
        """After the commit: do what is done outside, let go what has ended or is parked, tell who waits."""
        changes, cache, queue = flush.changes, self._cache, self._queue
        over: dict[int, RunState] = {}
        granted: list[RunChange] = []
        for tree in flush.trees:
            if tree.effects:
                effects, tree.effects = tree.effects, []
                if cache.trees.get(tree.key) is tree:  # else it is lost
                    carry_out(effects, self._withdrawing.put)
            unclaimed: list[RunState] = []
            for run in list(tree.touched.values()):
                change, run.change = run.change, None
                if run.ended:
                    over[run.key] = run
                    if run.key != tree.key:
                        cache.forget_run(run)
                if change is not None:
                    self._committed(run, change)
                    if change.grants or change.deadlocked:
                        granted.append(change)
                    # perhaps only waits are left, or who was held back for the sake of these needn't be any more
                    if change.queued and (run.waits or run.children or run.parent_run or tree.treasury):
                        unclaimed.append(run)
            tree.touched.clear()
            if unclaimed:
                tree.touched.update({run.key: run for run in unclaimed})
                queue.put(Input(tree.key, TOUCH))
            if tree.broken_off and tree.key in cache.trees:
                tree.broken_off = False
                queue.put(Input(tree.key, TOUCH))
        if granted:
            self._slots.committed(granted)
        for hook in self.on_commit:
            hook(changes, over)
        for item in flush.held:
            if item.done is not None:
                item.done.event.set()

    def _committed(self, run: RunState, change: RunChange) -> None:
        """A run's change is committed: note what follows from it."""
        note_committed(run, change)
        if change.queued:
            for row in change.queued:
                limits.unclaim(run, row)
            self._slots.queue(run)
        if change.inbox_done:
            self._queue.seen.difference_update(change.inbox_done)
        if change.timers:
            self._times.new_timers(change.timers)
        if change.patch is not None and change.patch.paused is False:
            self._times.look()  # its timers count again, and some may be due
        if change.subscriptions:
            self._queue.look_at_inbox()
        if change.release and not change.stays:
            self._cache.drop(run.tree)

    # when nothing was committed

    async def undo(self, flush: Flush, error: Exception) -> None:
        """Nothing was committed. After a fault of ours the same would happen once more, so the runs are let go."""
        self._slots.running -= len(flush.claimed) + len(flush.taken)
        _not_begun(flush)
        if isinstance(error, StoreError):
            again = await self._failed(flush.held, flush.trees, error)
            flush.again += again
        else:
            self._abandon(flush.held, flush.trees, error)
            self.tell_everybody()

    def _abandon(self, items: Sequence[Item], trees: Sequence[Tree], error: Exception) -> None:
        """Let go of trees as they are in the store, to whoever takes them when this process has ended."""
        names = ", ".join(tree.root.id for tree in trees)
        told = self._env.gate.text(described(error))
        log.error("a fault of agentflow: left alone as they are: %s: %s", names, told)
        for item in items:
            if item.done is not None:
                item.done.error = error
                item.done.event.set()
        for tree in trees:
            self._cache.unreadable[tree.key] = error
            self._loader.lose(tree.key)

    async def _failed(self, items: Sequence[Item], trees: Sequence[Tree], error: StoreError) -> Sequence[Item]:
        """Nothing was committed: forget what was planned, rebuild from the store; returns what to carry out again."""
        log.error("the store refused a commit: %s %s", error.what, error.why or "")
        self._refused(error)
        again = self._queue.fail(items, error)
        self._health.notice(error)
        if self._health.outdated is not None:
            for item in again:
                self._queue.refuse(item)
            return ()
        await self.pause(PAUSE)
        for tree in trees:
            await self._rebuild(tree, [item for item in again if item.root == tree.key])
        return again

    async def _rebuild(self, tree: Tree, again: Sequence[Item]) -> None:
        """Nothing of a tree was committed: forget what was planned of it, and read it from the store.

        Args:
            tree: the tree.
            again: its commands that are carried out once more.
        """
        outcomes = [item for item in again if isinstance(item, Outcome)]
        self._slots.running += len(outcomes)
        known = {item.done.inbox for item in again if item.done is not None}
        for run in tree.touched.values():
            if run.change is not None:  # commands that came with the tree
                self._queue.seen.difference_update(set(run.change.inbox_done) - known)
        try:
            await self._read_again(tree, outcomes)
        except StoreError as damage:
            self._cache.unreadable[tree.key] = damage
            self._loader.lose(tree.key)
            self._loader.tell_waiting()
        except Exception as error:
            self._abandon((), [tree], error)
            self.tell_everybody()

    def _refused(self, error: StoreError) -> None:
        self._health.refused = error
        self.on_refusal()

    async def _read_again(self, tree: Tree, outcomes: Sequence[Outcome]) -> None:
        """Read a tree whose commit was refused: what keeps the store from writing may keep it from reading too.

        The old one stays until there is a new one: its steps go on, and read of it.
        """
        while True:
            try:
                loaded = await self._store.load(tree.key)
                if loaded is None or tree.taking:
                    self._cache.drop(tree)  # it is new, or it wasn't taken
                elif loaded.epoch != tree.epoch:
                    self._loader.lose(tree.key)
                else:
                    await self._loader.load(loaded, tree, outcomes)
                    self._queue.items.append(Input(tree.key, TOUCH))  # commands may have come with it
                return
            except StoreError as error:
                if is_damaged(error):
                    raise
                log.error("the store can't be read: %s %s", error.what, error.why or "")
                self._refused(error)
                await self.pause(PAUSE)


def _not_begun(flush: Flush, tree: Tree | None = None) -> None:
    """Let steps that were to be taken over be so once more: their tree is read anew, and nobody sees to them yet."""
    for run, node in flush.taken:
        if tree is None or run.tree is tree:
            node.phase = None
