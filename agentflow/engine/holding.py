"""Trees in memory: taken from the store when something happens to them, let go when they are lost or a commit fails."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio

from agentflow.data import salvaged
from agentflow.engine.damaged import ended, is_damaged, let_go, wants_end
from agentflow.engine.inputs import Input, Item
from agentflow.engine.inspect import locate
from agentflow.engine.plan.carrying import carry_out, command_of
from agentflow.engine.plan.commands import TOUCH, Deadlocked, Granted, Outcome
from agentflow.engine.program import Program
from agentflow.engine.refolding import Refolding
from agentflow.engine.restore import restore
from agentflow.engine.signals import Signals
from agentflow.engine.slots import Slots
from agentflow.engine.state import RunState, Tree
from agentflow.engine.surroundings import Surroundings
from agentflow.engine.world import Lease
from agentflow.errors import DefinitionError, StoreError
from agentflow.reports import described
from agentflow.store.contract import Store
from agentflow.store.loaded import LoadedRun, LoadedTree
from agentflow.store.rows import RunChange, StepRow

log = logging.getLogger("agentflow")

LOST = frozenset({"AF-STORE-NEWER", "AF-STORE-GONE"})
"""Why a store is lost to this process: a newer version has changed it, or it was deleted or replaced."""


class Holding(Surroundings):
    """The trees that a core holds, and the inputs that wait for them."""

    def __init__(self, surroundings: dict[str, Any], store: Store, host_parallel: int) -> None:
        """Hold nothing yet."""
        super().__init__(**surroundings)
        self.store = store
        self.signals = Signals()
        self.trees: dict[int, Tree] = {}
        self.runs: dict[int, RunState] = {}
        self.keys: dict[str, int] = {}
        """Keys of these runs by id."""
        self.slots = Slots(self, host_parallel, self.runs)
        self.stopping = False
        self.always_replay = False
        self.inbox_due = False
        self.dead: set[str] = set()
        """Holders that are known to be dead."""
        self.unreadable: dict[int, Exception] = {}
        """Roots that this process can't go on with: their definitions are damaged, or need what it lacks."""
        self.refused: StoreError | None = None
        """Why the store refused the last commit; None: it didn't. What was refused is tried again until it succeeds."""
        self.tell_waiting: Callable[[], None] = lambda: None
        """Lets those who wait for runs look at them."""
        self.outdated: StoreError | None = None
        """Why this process can't go on at all: one of `LOST`."""
        self.over = anyio.Event()
        """Set with `outdated`."""
        self._inputs: deque[Item] = deque()
        self.refolding = Refolding(self.reducers, self.program, self._again)
        self._seen: set[int] = set()
        self._wake = anyio.Event()
        self._quiet = anyio.Event()
        """Set when nothing more may be going on, or nothing that gets anywhere."""

    def put(self, item: Item) -> None:
        """Leave an input for the next flush."""
        self._inputs.append(item)
        self._wake_up()

    def _wake_up(self) -> None:
        if not self._wake.is_set():
            self._wake.set()

    def _again(self, items: Sequence[Item]) -> None:
        """Leave as inputs, in order and before others, what had to wait."""
        self._inputs.extendleft(reversed(items))
        self._wake_up()

    def look_at_inbox(self) -> None:
        """Look for commands soon: a commit may have found the event that a wait is for."""
        self.inbox_due = True
        self._wake.set()

    async def _hold(self, item: Item) -> bool:
        """See to it that a tree is held; False when that isn't possible."""
        root = item.root
        tree = self.trees.get(root)
        if tree is not None and (not self.always_replay or tree.todo or tree.touched):  # just rebuilt
            return True
        if tree is not None:
            loaded = await self.store.load(root) if not tree.root.row_is_new else None
            if loaded is None:
                return True
            if loaded.epoch != tree.epoch:
                self._lost(root)
                self._refuse(item)
                return False
        else:
            if isinstance(item, Outcome):
                return False
            loaded = await self._find(root)
        if loaded is None:
            self._refuse(item)
            return False
        try:
            if tree is None and await self._folds_first(loaded, item):
                return False
            await self._load(loaded, tree)
        except Exception as error:
            if tree is None:
                await self._leave_alone(loaded, error)
                if await self._end_damaged(root, error):
                    self._refuse(item)
                    return False
            raise
        return True

    async def _folds_first(self, loaded: LoadedTree, item: Item) -> bool:
        """Let reducers of the user's fold what is stored of a tree before it is rebuilt, where there is any."""
        if any(run.shared for run in loaded.runs):
            await self._learn(loaded)
        if self.refolding.knows(loaded):
            return False
        self.refolding.begin(loaded, item)
        return True

    async def _find(self, root: int) -> LoadedTree | None:
        """Load a tree that may be had. One that nobody holds is taken by the commit of what happens to it now."""
        taken = self.refolding.taken.pop(root, None)
        if taken is not None:
            return taken
        known = self.unreadable.get(root)
        if known is not None:
            if await self.store.inbox([root]):
                await self._end_damaged(root, known)
            return None
        try:
            loaded = await self.store.load(root)
            if loaded is None or loaded.holder is None:
                return loaded
            return await self.store.acquire(root, self.dead) if loaded.holder in self.dead else None
        except StoreError as error:
            if not is_damaged(error):
                raise
            if await self._end_damaged(root, error):
                return None
            self.unreadable[root] = error
            self.tell_waiting()
            raise

    async def _end_damaged(self, root: int, error: Exception) -> bool:
        """End a tree that can't be rebuilt here and is to be cancelled, unless another host is at work on it."""
        if isinstance(error, StoreError) and not is_damaged(error):
            return False  # the store can't be read now
        tree = await self.store.salvage_tree(root)
        if tree is None or not wants_end(tree) or (tree.holder is not None and tree.holder not in self.dead):
            return False
        programs: list[Program] = []
        with suppress(Exception):  # without them it can't be told what to end with the steps
            programs = await self._learn(tree)
        if tree.holder is not None:
            await self.store.commit([RunChange(root, root, tree.epoch, release=True)])
        changes = ended(tree, error, self.now(), self._reap)
        refused = await self.store.commit(changes)
        self.slots_told(changes)
        del programs  # they were there for `_reap`
        if refused:
            return False
        self.unreadable.pop(root, None)
        self.tell_waiting()
        return True

    def _reap(self, run: LoadedRun, step: StepRow) -> None:
        """End what an attempt of a dead host has left behind, as far as the definition tells."""
        program = self.catalog.find(run.row.definition)
        found = locate(program.workflow, step.address) if program is not None else None
        spec = self.types(found.type) if found is not None else None
        if spec is not None and spec.reap is not None and step.memo:
            memo: dict[str, Any] = salvaged(step.memo) or {}
            spec.reap(memo.get("saved"))

    def slots_told(self, changes: Sequence[RunChange]) -> None:
        """A commit has given slots to steps, or has told that some would wait for ever."""
        for change in changes:
            for grant in change.grants:
                if grant.root in self.trees:
                    self.put(Input(grant.root, Granted(grant.run, grant.n)))
            for n in change.deadlocked:
                self.put(Input(change.root, Deadlocked(change.run, n)))

    def notice(self, error: Exception) -> None:
        """Let everything go where the store isn't this process's any more: nothing that it goes on to do is kept."""
        if isinstance(error, StoreError) and error.code in LOST:
            self.outdated = error
            self.over.set()
            for root in list(self.trees):
                self._lost(root)

    def _refuse(self, item: Item) -> None:
        """Tell who waits for an input that the tree is somebody else's."""
        if item.done is not None:
            item.done.held = False
            item.done.event.set()
            if item.done.inbox is not None:
                self._seen.discard(item.done.inbox)

    async def _not_held(self, item: Item, error: Exception) -> None:
        """A tree couldn't be read: tell who waits for the input, and keep results of steps for later."""
        log.error("run %s couldn't be read: %s", item.root, self.gate.text(error))
        self.notice(error)
        if item.done is not None:
            item.done.error = error
            self._refuse(item)
            if item.done.inbox is not None and item.root not in self.unreadable:  # it is read again
                await anyio.sleep(0.2)
                self.look_at_inbox()
        elif isinstance(item, Outcome):
            await anyio.sleep(0.2)
            self.slots.running += 1
            self.put(item)

    async def _leave_alone(self, loaded: LoadedTree, error: Exception) -> None:
        """Give back a tree that can't be rebuilt here: another host may have what this one lacks."""
        if not isinstance(error, StoreError) or error.code == "AF-STORE-DAMAGED":
            self.unreadable[loaded.root] = error
            log.error("run %s is left alone: %s", loaded.runs[0].row.id, self.gate.text(error))
        changes = let_go(loaded)
        if changes:
            await self.store.commit(changes)
            self.slots_told(changes)

    async def _learn(self, loaded: LoadedTree) -> list[Program]:
        """Return the programs of a tree's runs, and of the sub-workflows that it may start, as far as there are any."""
        runs = [await self.learned(run.row.definition) for run in loaded.runs]
        return [*runs, *await self.callable(loaded.runs[0].row.pins.values())]

    async def callable(self, pinned: Collection[str]) -> list[Program]:
        """Return the programs of pinned definitions; a step that comes to one that can't be used here fails."""
        programs: list[Program] = []
        for name in pinned:
            with suppress(StoreError, DefinitionError):
                programs.append(await self.learned(name))
        return programs

    async def learned(self, digest: str) -> Program:
        """Return the program of a definition, read from the store if need be."""
        known = self.catalog.find(digest)
        return known if known is not None else self.learn(digest, await self.store.get_definition(digest))

    async def _load(self, loaded: LoadedTree, old: Tree | None, ended: Collection[Outcome] = ()) -> None:
        programs = await self._learn(loaded)
        folded = await self.refolding.folded(loaded, old)
        executing: dict[tuple[int, int], Lease | None] = {}
        if old is not None:
            for run in old.runs.values():
                executing.update({(run.key, n): node.lease for n, node in run.live.items() if node.phase == "run"})
        executing.update({(item.run, item.n): None for item in ended})
        taking = loaded.holder is None
        if taking:
            loaded = replace(loaded, epoch=loaded.epoch + 1)
        tree = restore(self, loaded, self.program, executing, folded)
        tree.programs = programs
        if taking:
            tree.root.changes().take = True
        self.adopt_tree(tree)
        for item in loaded.inbox:
            if item.id not in self._seen:
                self._seen.add(item.id)
                carry_out(tree, command_of(item))

    def adopt_tree(self, tree: Tree) -> None:
        """Hold a tree from now on."""
        self.trees[tree.key] = tree
        self.keep_runs(tree)

    def keep_runs(self, tree: Tree) -> None:
        """Know all runs of a held tree."""
        for key, run in tree.runs.items():
            self.runs[key] = run
            self.keys[run.id] = key

    def working(self, run_id: str) -> int | None:
        """Return the key of a run that this process is at work on: whoever waits for it needn't read it."""
        key = self.keys.get(run_id)
        return key if key is not None and self.runs[key].state == "working" else None

    def _forget(self, run: RunState) -> None:
        """Forget a run below others: it has ended."""
        run.tree.runs.pop(run.key, None)
        self.runs.pop(run.key, None)
        self.keys.pop(run.id, None)

    def _drop(self, tree: Tree) -> None:
        """Forget a tree; its rows are all there is."""
        self.trees.pop(tree.key, None)
        for key, run in tree.runs.items():
            self.runs.pop(key, None)
            self.keys.pop(run.id, None)

    def _lost(self, run: int, inputs: Sequence[Item] = ()) -> None:
        """Somebody else holds a tree now: stop what we execute of it, and tell who waits for inputs to it."""
        state = self.runs.get(run)
        if state is None:
            return
        for item in inputs:
            if item.root == state.tree.key and item.done is not None:
                item.done.held = False
        if state.tree.taking:  # whoever was quicker may not have seen what it was for
            self.look_at_inbox()
        for other in state.tree.runs.values():
            for node in list(other.live.values()):
                if node.lease is not None:
                    node.lease.interrupt("fenced")
        self._drop(state.tree)

    def _abandon(self, inputs: Sequence[Item], trees: Sequence[Tree], error: Exception) -> None:
        """Let go of trees as they are in the store, to whoever takes them when this process has ended."""
        names = ", ".join(tree.root.id for tree in trees)
        told = self.gate.text(described(error))
        log.error("a fault of agentflow: left alone as they are: %s: %s", names, told)
        for item in inputs:
            if item.done is not None:
                item.done.error = error
                item.done.event.set()
        for tree in trees:
            self.unreadable[tree.key] = error
            self._lost(tree.key)

    async def _failed(self, inputs: Sequence[Item], trees: Sequence[Tree], error: StoreError) -> Sequence[Item]:
        """Nothing was committed: forget what was planned, rebuild from the store; returns the inputs to apply again."""
        log.error("the store refused a commit: %s %s", error.what, error.why or "")
        self._not_saved(error)
        again: list[Item] = []
        for item in inputs:
            if item.done is not None:
                if item.done.inbox is not None:  # it stands in the store, and is read again
                    self._seen.discard(item.done.inbox)
                    self.inbox_due = True
                item.done.error = error
                item.done.event.set()
            else:
                again.append(item)
        self.notice(error)
        if self.outdated is not None:
            return ()
        await anyio.sleep(0.2)
        for tree in trees:
            for run in tree.touched.values():
                if run.change is not None:  # commands that came with the tree
                    self._seen.difference_update(run.change.inbox_done)
            try:
                loaded = await self._read_again(tree.key)
            except StoreError as damage:
                self.unreadable[tree.key] = damage
                self._lost(tree.key)
                self.tell_waiting()
                continue
            self._drop(tree)
            if tree.taking:
                continue  # it wasn't taken
            if loaded is not None and loaded.epoch != tree.epoch:
                self.adopt_tree(tree)
                self._lost(tree.key)
            elif loaded is not None:
                await self._load(loaded, tree, [item for item in again if isinstance(item, Outcome)])
                self._inputs.append(Input(tree.key, TOUCH))  # commands may have come with it
        for item in again:
            if isinstance(item, Outcome):
                self.slots.running += 1
        return again

    def _not_saved(self, error: StoreError) -> None:
        self.refused = error
        self._quiet.set()

    async def _read_again(self, root: int) -> LoadedTree | None:
        """Read a tree whose commit was refused: what keeps the store from writing may keep it from reading too."""
        while True:
            try:
                return await self.store.load(root)
            except StoreError as error:
                if is_damaged(error):
                    raise
                log.error("the store can't be read: %s %s", error.what, error.why or "")
                self._not_saved(error)
                await anyio.sleep(0.2)
