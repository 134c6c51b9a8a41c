"""The core of a host: applies inputs to held trees, lets the planner work, commits, and hands out what may run.

One flush takes everything that has happened since the last one, in all trees, and commits it in one transaction. A
worker that finishes alone flushes by itself and goes on with the successor; when others run too, the first to finish
waits for one turn of the loop, so that all that finishes in it shares the commit.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any

import anyio

from agentflow.definition.models import Workflow
from agentflow.engine.execute import Stopped, execute
from agentflow.engine.inputs import Done, Finished, Input, command, note, saved
from agentflow.engine.needs import missing_skills
from agentflow.engine.plan.drive import drain
from agentflow.engine.program import Program
from agentflow.engine.restore import restore
from agentflow.engine.runtime.base import Work, WorkLease
from agentflow.engine.runtime.embedded import EmbeddedRuntime
from agentflow.engine.slots import Slots
from agentflow.engine.state import Node, RunState, Tree
from agentflow.engine.surroundings import Surroundings
from agentflow.engine.world import Lease
from agentflow.errors import Defect, StoreError
from agentflow.expressions import filter_matches
from agentflow.faultpoints import reach
from agentflow.requirements import Checker
from agentflow.store.contract import Store
from agentflow.store.rows import (
    Fenced,
    LoadedTree,
    RunChange,
)

log = logging.getLogger("agentflow")


class Core(Surroundings):
    """Executes runs. Implements the runtime's `Handler`."""

    def __init__(
        self, surroundings: dict[str, Any], store: Store, runtime: EmbeddedRuntime, host_parallel: int
    ) -> None:
        """Make a core that holds nothing yet."""
        super().__init__(**surroundings)
        self.store = store
        self.runtime = runtime
        self.trees: dict[int, Tree] = {}
        self.runs: dict[int, RunState] = {}
        self.slots = Slots(self, store, host_parallel, self.runs)
        self.stopping = False
        self.always_replay = False
        self.inbox_due = False
        self.dead: set[str] = set()
        """Holders that are known to be dead."""
        self.originals: dict[str, Workflow] = {}
        """Workflows as they were given, by id."""
        self.stored: dict[str, dict[str, str]] = {}
        """Hashes of definitions that the store has → hashes of their sub-workflows by id."""
        self.checker: Checker
        self.on_change: list[Callable[[], None]] = []
        self.on_commit: list[Callable[[Sequence[RunChange]], None]] = []
        self.roots: Callable[[], Collection[int] | None] = lambda: None
        """The roots whose commands this process carries out; None: all."""
        self.unreadable: set[int] = set()
        """Roots that this process can't go on with: their definitions are damaged, or need what it lacks."""
        self._inputs: deque[Input | Finished] = deque()
        self._seen: set[int] = set()
        self._flushing = False
        self._wake = anyio.Event()
        self._quiet = anyio.Event()

    # inputs

    def put(self, item: Input | Finished) -> None:
        """Leave an input for the next flush."""
        self._inputs.append(item)
        if not self._wake.is_set():
            self._wake.set()

    async def apply(self, root: int, act: Callable[[Tree], None]) -> bool:
        """Apply something to a tree and wait until it is committed; False when somebody else holds the tree."""
        done = Done()
        self.put(Input(root, act, done))
        await done.wait()
        return done.held

    def note(self, run: RunState, node: Node, kind: str, data: dict[str, Any]) -> None:
        """Append an event of a running step, soon."""
        self.put(Input(run.tree.key, note(run, node, kind, data)))

    async def save_state(self, run: RunState, node: Node, state: Any) -> None:
        """Commit the state of a running step."""
        await self.apply(run.tree.key, saved(run, node, state))

    async def take_inbox(self, roots: Collection[int] | None = None) -> list[Done]:
        """Leave the commands that other doors committed as inputs; returns what tells when each is carried out."""
        taken: list[Done] = []
        for root, item in await self.store.inbox(roots):
            if item.id not in self._seen:
                self._seen.add(item.id)
                done = Done(item.id)
                self.put(Input(root, command(item), done))
                taken.append(done)
        return taken

    def tell_everybody(self) -> None:
        """Another process has committed something."""
        for hook in self.on_change:
            hook()

    def missing_everywhere(self, program: Program) -> list[str]:
        """Return what the steps of a workflow need and haven't got."""
        return missing_skills(program, self.checker)

    async def publish(self, topic: str, data: Any, event_id: str | None) -> int:
        """Publish an event of a running step."""
        count, _ = await self.store.publish(topic, data, event_id, self.now(), filter_matches)
        await self.take_inbox(self.roots())
        return count

    def look_at_inbox(self) -> None:
        """Look for commands soon: a commit may have found the event that a wait is for."""
        self.inbox_due = True
        self._wake.set()

    # the loop

    async def pump(self) -> None:
        """Flush whatever no worker flushes; never ends by itself."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            if self.inbox_due:
                self.inbox_due = False
                await self.take_inbox(self.roots())
            if self._inputs and not self._flushing:
                self._flushing = True
                try:
                    ready = await self._flush()
                finally:
                    self._flushing = False
                self.runtime.push(ready)
            if self._inputs:
                self._wake.set()

    async def perform(self, work: Work, lease: WorkLease) -> Sequence[Work]:
        """Execute a claimed step and commit what came of it."""
        run = self.runs.get(work.run)
        node = run.live.get(work.n) if run is not None else None
        if run is None or node is None or node.phase != "run" or node.attempt != work.attempt:
            self._not_executed()
            return ()
        if lease.interrupted is not None:
            outcome, context = Stopped(lease.interrupted), None
        elif node.halting is not None:
            outcome, context = Stopped(node.halting), None
        else:
            node.lease = lease
            if node.program.timeout is not None:
                self.slots.deadline(run, node)
            outcome, context = await execute(self, run, node, lease)
            reach("mid-step")
        self.slots.stopped(run.key, node.n, node.attempt)
        self._let_go(work, node, lease)
        self._inputs.append(Finished(run, node, node.attempt, outcome, context))
        if self._flushing:
            self._wake.set()
            return ()
        self._flushing = True
        try:
            if self.slots.running > 1:
                await anyio.lowlevel.checkpoint()
            return await self._flush()
        finally:
            self._flushing = False
            if self._inputs:
                self._wake.set()

    def _let_go(self, work: Work, node: Node, lease: WorkLease) -> None:
        """Let nobody interrupt what a worker does after a step; the step's node may have been read anew meanwhile."""
        run = self.runs.get(work.run)
        current = run.live.get(work.n) if run is not None else None
        for known in (node, current):
            if known is not None and known.lease is lease:
                known.lease = None

    def _not_executed(self) -> None:
        """Give back the slot of a claimed step whose tree is lost, or that was stopped before it began."""
        self.slots.running -= 1
        root = self.slots.first
        if root is not None:
            self.put(Input(root, _look_again))
        elif not self._inputs and not self._flushing and not self.slots.running:
            self._quiet.set()

    async def idle(self) -> None:
        """Return when nothing runs and nothing is left to apply."""
        while self._inputs or self._flushing or self.slots.running:
            if self._quiet.is_set():
                self._quiet = anyio.Event()
            await self._quiet.wait()

    async def _flush(self) -> Sequence[Work]:
        """Apply all inputs, plan, claim, commit."""
        inputs = self._inputs
        self._inputs = deque()
        held: list[Input | Finished] = []
        for item in inputs:
            if isinstance(item, Finished):
                self.slots.running -= 1
            try:
                if await self._hold(item):
                    held.append(item)
            except Exception as error:  # of one run: the others go on
                await self._not_held(item, error)
        trees = self._apply(held)
        claimed: list[tuple[RunState, Node]] = []
        fenced: Sequence[Fenced] = ()
        try:
            await self.slots.fill(trees, claimed)
            changes = self._collect(trees)
            if changes:
                reach("before-commit")
                fenced = await self.store.commit(changes)
                reach("after-commit")
        except StoreError as error:
            self.slots.running -= len(claimed)
            await self._failed(held, trees, error)
            return ()
        for refused in fenced:
            self._lost(refused.run, held)
        self._settle(trees, held, changes)
        ready = [(run, node) for run, node in claimed if run.tree.key in self.trees]
        self.slots.running -= len(claimed) - len(ready)  # claims of trees that somebody else holds now
        if not self._inputs and not self.slots.running and not self._quiet.is_set():
            self._quiet.set()
        return [Work(run.key, node.n, node.address, node.attempt, node.entry) for run, node in ready]

    async def _hold(self, item: Input | Finished) -> bool:
        """See to it that a tree is held; False when that isn't possible."""
        root = item.root
        tree = self.trees.get(root)
        if tree is not None and (not self.always_replay or tree.todo or tree.touched):  # just rebuilt
            return True
        if tree is not None:
            loaded = await self.store.load(root) if not tree.root.row_is_new else None
            if loaded is None:
                return True
        else:
            if isinstance(item, Finished):
                return False
            loaded = await self.store.acquire(root, self.dead) if root not in self.unreadable else None
        if loaded is None:
            self._refuse(item)
            return False
        try:
            await self._load(loaded, tree)
        except Exception as error:
            if tree is None:
                await self._leave_alone(loaded, error)
            raise
        if tree is None:
            self.slots.note(self.now())  # it may have timers
        return True

    def _refuse(self, item: Input | Finished) -> None:
        """Tell who waits for an input that the tree is somebody else's."""
        if item.done is not None:
            item.done.held = False
            item.done.event.set()
            if item.done.inbox is not None:
                self._seen.discard(item.done.inbox)

    async def _not_held(self, item: Input | Finished, error: Exception) -> None:
        """A tree couldn't be read: tell who waits for the input, and keep results of steps for later."""
        log.error("run %s couldn't be read: %s", item.root, error)
        if item.done is not None:
            item.done.error = error
            self._refuse(item)
        elif isinstance(item, Finished):
            await anyio.sleep(0.2)
            self.slots.running += 1
            self.put(item)

    async def _leave_alone(self, loaded: LoadedTree, error: Exception) -> None:
        """Give back a tree that can't be rebuilt here: another host may have what this one lacks."""
        if not isinstance(error, StoreError) or error.code == "AF-STORE-DAMAGED":
            self.unreadable.add(loaded.root)
            log.error("run %s is left alone: %s", loaded.runs[0].row.id, error)
        await self.store.commit([RunChange(loaded.root, loaded.root, loaded.epoch, release=True)])

    async def _load(self, loaded: Any, old: Tree | None, ended: Collection[Finished] = ()) -> None:
        for run in loaded.runs:
            if run.row.definition not in self.programs:
                raw = await self.store.get_definition(run.row.definition)
                self.learn(run.row.definition, raw)
        executing: dict[tuple[int, int], Lease | None] = {}
        if old is not None:
            for run in old.runs.values():
                executing.update({(run.key, n): node.lease for n, node in run.live.items() if node.phase == "run"})
        executing.update({(item.run.key, item.node.n): None for item in ended})
        tree = restore(self, loaded, self.program, executing)
        self.adopt_tree(tree)
        for item in loaded.inbox:
            if item.id not in self._seen:
                self._seen.add(item.id)
                command(item)(tree)

    def adopt_tree(self, tree: Tree) -> None:
        """Hold a tree from now on."""
        self.trees[tree.key] = tree
        self.runs.update(tree.runs)

    def _apply(self, inputs: Sequence[Input | Finished]) -> list[Tree]:
        """Apply inputs and let the planner work; a fault of ours ends the run it happened in, not the loop."""
        touched: dict[int, Tree] = {}
        for item in inputs:
            tree = self.trees.get(item.root)
            if tree is None:
                continue
            touched[item.root] = tree
            try:
                item.apply(tree)
                if tree.todo:
                    drain(tree)
            except Exception as error:
                log.exception("a fault of agentflow in run %s", tree.root.id)
                self._broken(tree, error)
        for tree in touched.values():
            try:
                drain(tree)
            except Exception as error:
                log.exception("a fault of agentflow in run %s", tree.root.id)
                self._broken(tree, error)
            for run in tree.runs.values():
                self.runs[run.key] = run
        return list(touched.values())

    def _broken(self, tree: Tree, error: Exception) -> None:
        from agentflow.engine.plan.faults import fail_tree  # noqa: PLC0415  for our own faults only

        fail_tree(tree, Defect(f"a fault of agentflow: {type(error).__name__}: {error}"))

    def _collect(self, trees: Sequence[Tree]) -> list[RunChange]:
        changes: list[RunChange] = []
        for tree in trees:
            root = tree.root
            if root.ended:
                root.changes().release = True
            elif self._parked(tree):
                root.changes().release = True
                root.changes().asleep = True
            changes.extend(run.change for run in tree.touched.values() if run.change is not None)
        return changes

    def _parked(self, tree: Tree) -> bool:
        """Tell whether nothing of a tree is in progress but waits and times."""
        return not any(run.running or (run.ready and not run.paused) or run.soon for run in tree.runs.values())

    def _settle(self, trees: Sequence[Tree], inputs: Sequence[Input | Finished], changes: Sequence[RunChange]) -> None:
        """After the commit: let go what has ended or is parked, tell who waits."""
        for tree in trees:
            for run in list(tree.touched.values()):
                change, run.change = run.change, None
                if change is not None and change.inbox_done:
                    self._seen.difference_update(change.inbox_done)
                if change is not None and change.timers:
                    self.slots.new_timers(change.timers)
                if change is not None and change.patch is not None and change.patch.paused is False:
                    self.slots.note(self.now())  # its timers count again, and some may be due
                if change is not None and change.subscriptions:
                    self.look_at_inbox()
                if run.ended and run.key != tree.key:
                    tree.runs.pop(run.key, None)
                    self.runs.pop(run.key, None)
                if change is not None and change.release:
                    self._drop(tree)
            tree.touched.clear()
        if self.slots.blocked and any(change.free or change.release for change in changes):
            for root in self.slots.blocked:
                self.put(Input(root, _look_again))
        for hook in self.on_commit:
            hook(changes)
        for item in inputs:
            if item.done is not None:
                item.done.event.set()

    def _drop(self, tree: Tree) -> None:
        """Forget a tree; its rows are all there is."""
        self.trees.pop(tree.key, None)
        for key in tree.runs:
            self.runs.pop(key, None)

    def _lost(self, run: int, inputs: Sequence[Input | Finished] = ()) -> None:
        """Somebody else holds a tree now: stop what we execute of it, and tell who waits for inputs to it."""
        state = self.runs.get(run)
        if state is None:
            return
        for item in inputs:
            if item.root == state.tree.key and item.done is not None:
                item.done.held = False
        for other in state.tree.runs.values():
            for node in list(other.live.values()):
                if node.lease is not None:
                    node.lease.interrupt("fenced")
        self._drop(state.tree)

    async def _failed(self, inputs: Sequence[Input | Finished], trees: Sequence[Tree], error: StoreError) -> None:
        """Nothing was committed: forget what was planned, rebuild from the store, and apply the inputs once more."""
        log.error("the store refused a commit: %s", error.what)
        again: list[Input | Finished] = []
        for item in inputs:
            if item.done is not None:
                if item.done.inbox is not None:  # it stands in the store, and is read again
                    self._seen.discard(item.done.inbox)
                    self.inbox_due = True
                item.done.error = error
                item.done.event.set()
            else:
                again.append(item)
        await anyio.sleep(0.2)
        for tree in trees:
            for run in tree.touched.values():
                if run.change is not None:  # commands that came with the tree
                    self._seen.difference_update(run.change.inbox_done)
            self._drop(tree)
            try:
                loaded = await self.store.load(tree.key)
            except StoreError:
                self.trees[tree.key] = tree
                continue
            if loaded is not None:
                await self._load(loaded, tree, [item for item in again if isinstance(item, Finished)])
                self._inputs.append(Input(tree.key, _look_again))  # commands may have come with it
        for item in again:
            if isinstance(item, Finished):
                self.slots.running += 1
        self._inputs.extendleft(reversed(again))
        self._wake.set()


def _look_again(tree: Tree) -> None:
    """Do nothing but hold the tree: its steps may find a slot now."""
