"""Takes trees from the store when something happens to them, and lets go of those that are somebody else's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import anyio

from agentflow.engine.decided import salvaged_of
from agentflow.engine.host import effects
from agentflow.engine.host.cache import TreeCache
from agentflow.engine.host.damaged import broken_off, ended, is_damaged, let_go, wants_end
from agentflow.engine.host.environment import Environment
from agentflow.engine.host.health import Health
from agentflow.engine.host.lacking import LackingError, lacking, refuse_lacking
from agentflow.engine.host.queue import Item, Queue
from agentflow.engine.host.refolding import Refolding
from agentflow.engine.host.restore import restore
from agentflow.engine.host.slots import Slots
from agentflow.engine.locating import locate
from agentflow.engine.plan.carrying import carry_out, command_of
from agentflow.engine.plan.commands import Outcome
from agentflow.engine.plan.effects import Interrupt, Reap
from agentflow.engine.plan.environment import Lease
from agentflow.engine.plan.state import Tree
from agentflow.engine.program import Program
from agentflow.errors import DefinitionError, StoreError
from agentflow.steps.unset import UNSET
from agentflow.store.contract import Store
from agentflow.store.loaded import LoadedTree
from agentflow.store.rows import RunChange

log = logging.getLogger("agentflow")


class Loader:
    """Sees to it that trees are held that may be."""

    def __init__(
        self,
        env: Environment,
        store: Store,
        cache: TreeCache,
        queue: Queue,
        slots: Slots,
        health: Health,
        refolding: Refolding,
    ) -> None:
        """Hold nothing yet."""
        self.dead: set[str] = set()
        """Holders that are known to be dead."""
        self.always_replay = False
        """Rebuild trees from their rows before each decision, for tests."""
        self.tell_waiting: Callable[[], None] = lambda: None
        """Lets those who wait for runs look at them."""
        self._env = env
        self._store = store
        self._cache = cache
        self._queue = queue
        self._slots = slots
        self._health = health
        self._refolding = refolding
        health.on_lost = self._lose_all

    @property
    def holders(self) -> tuple[str | None, ...]:
        """Those whose trees this host may see to: nobody, itself, and the dead."""
        return (None, self._store.holder, *self.dead)

    @property
    def agents(self) -> tuple[str, ...]:
        """Those whose trees this host may see to."""
        return self._env.agents

    async def hold(self, item: Item) -> bool:
        """See to it that the tree of a command is held; False when that isn't possible."""
        root = item.root
        tree = self._cache.trees.get(root)
        if tree is not None and (not self.always_replay or tree.todo or tree.touched):  # just rebuilt
            return True
        if tree is not None:
            loaded = await self._store.load(root) if not tree.root.row_is_new else None
            if loaded is None:
                return True
            if loaded.epoch != tree.epoch:
                self.lose(root)
                self._queue.refuse(item)
                return False
        else:
            if isinstance(item, Outcome):
                self._queue.refuse(item)
                return False
            loaded = await self._find(root)
        if loaded is None:
            self._queue.refuse(item)
            return False
        try:
            if tree is None and not self._env.hands_out:
                refuse_lacking(self._env.services, loaded, await self._learn(loaded))
            if tree is None and await self._folds_first(loaded, item):
                return False
            await self.load(loaded, tree)
        except Exception as error:
            if tree is None:
                await self._leave_alone(loaded, error)
                if isinstance(error, LackingError):
                    self._queue.refuse(item)
                    self.tell_waiting()
                    return False
                if await self._end_damaged(root, error):
                    self._queue.refuse(item)
                    return False
            raise
        return True

    async def not_held(self, item: Item, error: Exception) -> None:
        """A tree couldn't be read: tell who waits for the command, and keep results of steps for later."""
        log.error("run %s couldn't be read: %s", item.root, self._env.gate.text(error))
        self._health.notice(error)
        if isinstance(item, Outcome):
            await anyio.sleep(0.2)
            self._slots.running += 1
            self._queue.put(item)
        elif item.done is not None:
            item.done.error = error
            self._queue.refuse(item)
            if item.done.inbox is not None and item.root not in self._cache.unreadable:  # it is read again
                await anyio.sleep(0.2)
                self._queue.look_at_inbox()

    async def _folds_first(self, loaded: LoadedTree, item: Item) -> bool:
        """Let reducers of the user's fold what is stored of a tree before it is rebuilt, where there is any."""
        if any(run.shared for run in loaded.runs):
            await self._learn(loaded)
        if self._refolding.knows(loaded):
            return False
        self._refolding.begin(loaded, item)
        return True

    async def _find(self, root: int) -> LoadedTree | None:
        """Load a tree that may be had. One that nobody holds is taken by the commit of what happens to it now."""
        taken = self._refolding.taken.pop(root, None)
        if taken is not None:
            return taken
        known = self._cache.unreadable.get(root)
        if isinstance(known, LackingError) and await self._has_now(root, known):
            known = None
        if isinstance(known, LackingError):
            return None
        if known is not None:
            if await self._store.inbox([root]):
                await self._end_damaged(root, known)
            return None
        try:
            loaded = await self._store.load(root)
            if loaded is None or loaded.runs[0].row.agent not in self.agents:
                return None
            if loaded.holder is None:
                return loaded
            return await self._store.acquire(root, self.dead) if loaded.holder in self.dead else None
        except StoreError as error:
            if not is_damaged(error):
                raise
            if await self._end_damaged(root, error):
                return None
            self._cache.unreadable[root] = error
            self.tell_waiting()
            raise

    async def _has_now(self, root: int, known: LackingError) -> bool:
        """Tell whether a tree lacks nothing here any more: it was given since, or the tree is to be cancelled."""
        lacks = any(lacking(self._env.services, *each) for each in known.lacks)
        if lacks and not any(item.kind == "cancel" for _, item in await self._store.inbox([root])):
            return False
        del self._cache.unreadable[root]
        return True

    async def load(self, loaded: LoadedTree, old: Tree | None, ended: Collection[Outcome] = ()) -> None:
        """Rebuild a tree.

        Args:
            loaded: its rows.
            old: the same tree in memory, where it is only read anew.
            ended: outcomes that are still to be carried out.
        """
        programs = await self._learn(loaded)
        folded = await self._refolding.folded(loaded, old)
        executing: dict[tuple[int, int], Lease | None] = {}
        if old is not None:
            for run in old.runs.values():
                executing.update({(run.key, n): node.lease for n, node in run.live.items() if node.phase == "run"})
            for effect in old.effects:  # they were refused: who was to stop goes on
                if isinstance(effect, Interrupt) and effect.step.lease is not None:
                    executing[effect.run, effect.n] = effect.step.lease
        executing.update({(item.run, item.n): None for item in ended})
        taking = loaded.holder is None
        if taking:
            loaded = replace(loaded, epoch=loaded.epoch + 1)
        tree = restore(self._env, loaded, self._env.program, executing, folded)
        tree.programs = programs
        if taking:
            tree.root.changes().take = True
        if old is not None:
            self._cache.replace(old, tree)
        else:
            self._cache.adopt(tree)
        for item in loaded.inbox:
            if item.id not in self._queue.seen:
                self._queue.seen.add(item.id)
                carry_out(tree, command_of(item))

    # definitions

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
        known = self._env.catalog.find(digest)
        return known or self._env.catalog.learn(digest, await self._store.get_definition(digest))

    # letting go

    def lose(self, run: int, items: Sequence[Item] = ()) -> None:
        """Somebody else holds a tree now: stop what we execute of it, and tell who waits for commands to it."""
        state = self._cache.runs.get(run)
        if state is None:
            return
        for item in items:
            if item.root == state.tree.key and item.done is not None:
                item.done.held = False
        if state.tree.taking:  # whoever was quicker may not have seen what it was for
            self._queue.look_at_inbox()
        for other in state.tree.runs.values():
            for node in list(other.live.values()):
                if node.lease is not None:
                    node.lease.interrupt("lost")
        for effect in state.tree.effects:  # the transition that has stopped them isn't committed
            if isinstance(effect, Interrupt) and effect.step.lease is not None:
                effect.step.lease.interrupt("lost")
        self._cache.drop(state.tree)

    def _lose_all(self) -> None:
        for root in list(self._cache.trees):
            self.lose(root)

    async def free_slots(self, root: int) -> None:
        """Take the slots from a tree of a dead host that is another agent's to go on with."""
        loaded = await self._store.load(root)
        if loaded is not None and loaded.holder in self.dead:
            await self._give_back(loaded)

    async def _leave_alone(self, loaded: LoadedTree, error: Exception) -> None:
        """Give back a tree that can't be rebuilt here: another host may have what this one lacks."""
        if not isinstance(error, StoreError) or error.code == "AF-STORE-DAMAGED":
            self._cache.unreadable[loaded.root] = error
            if isinstance(error, LackingError):
                log.warning("%s; %s", self._env.gate.text(error), error.hint)
            else:
                log.error("run %s is left alone: %s", loaded.runs[0].row.id, self._env.gate.text(error))
        await self._give_back(loaded)

    async def _give_back(self, loaded: LoadedTree) -> None:
        changes = let_go(loaded)
        if changes:
            await self._store.commit(changes)
            self._slots.committed(changes)

    async def _end_damaged(self, root: int, error: Exception) -> bool:
        """End a tree that can't be rebuilt here and is to be cancelled, unless another host is at work on it."""
        if isinstance(error, StoreError) and not is_damaged(error):
            return False  # the store can't be read now
        tree = await self._store.salvage_tree(root)
        if tree is None or not wants_end(tree) or tree.runs[0].row.agent not in self.agents:
            return False
        if tree.holder is not None and tree.holder not in self.dead:
            return False
        programs: list[Program] = []
        with suppress(Exception):  # without them it can't be told what to end with the steps
            programs = await self._learn(tree)
        if tree.holder is not None:
            await self._store.commit([RunChange(root, root, tree.epoch, release=True)])
        changes = ended(tree, error, self._env.now())
        refused = await self._store.commit(changes)
        self._slots.committed(changes)
        if refused:
            return False
        for left in self._left_behind(tree):
            effects.reap(left)
        del programs  # they were there for that
        self._cache.unreadable.pop(root, None)
        self.tell_waiting()
        return True

    def _left_behind(self, tree: LoadedTree) -> Iterator[Reap]:
        """Yield what attempts of a dead host have left behind, as far as the definitions tell."""
        for run, step in broken_off(tree):
            program = self._env.catalog.find(run.row.definition)
            found = locate(program.workflow, step.address) if program is not None else None
            spec = self._env.types(found.type) if found is not None else None
            saved = salvaged_of(step.memo).saved
            if spec is not None and spec.reap is not None and saved is not UNSET:
                yield Reap(step.address, spec.reap, saved)
