"""The core of a host: applies inputs to held trees, lets the planner work, commits, and hands out what may run.

One flush takes everything that has happened since the last one, in all trees, and commits it in one transaction. A
worker that finishes alone flushes by itself and goes on with the successor; when others run too, the first to finish
waits for one turn of the loop, so that all that finishes in it shares the commit.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import anyio

from agentflow.definition.models import Workflow
from agentflow.engine.execute import Stopped, execute
from agentflow.engine.holding import Holding, look_again
from agentflow.engine.inputs import Done, Finished, Input, command, note, saved
from agentflow.engine.needs import missing_skills
from agentflow.engine.plan.drive import drain
from agentflow.engine.program import Program
from agentflow.engine.runtime.base import Work, WorkLease
from agentflow.engine.runtime.embedded import EmbeddedRuntime
from agentflow.engine.state import Node, RunState, Tree
from agentflow.engine.stored import landed
from agentflow.engine.surroundings import check_size
from agentflow.errors import Defect, StoreError
from agentflow.expressions import filter_matches
from agentflow.faultpoints import reach
from agentflow.requirements import Checker
from agentflow.store.contract import Store
from agentflow.store.rows import (
    Fenced,
    RunChange,
)

log = logging.getLogger("agentflow")

MOST = 128
"""Inputs of one flush."""
ADMITTED = 64
"""Runs that are begun in one turn of the event loop."""
SLICE = 0.003
"""Seconds after which a flush takes no more inputs."""
BREATH = 0.002
"""Seconds after which steps that never wait let the others in the event loop have their turn."""


class Core(Holding):
    """Executes runs. Implements the runtime's `Handler`."""

    def __init__(
        self, surroundings: dict[str, Any], store: Store, runtime: EmbeddedRuntime, host_parallel: int
    ) -> None:
        """Make a core that holds nothing yet."""
        super().__init__(surroundings, store, host_parallel)
        self.runtime = runtime
        self.originals: dict[str, Workflow] = {}
        """Workflows as they were given, by id."""
        self.unstored: dict[str, bytes] = {}
        """Definitions as JSON that the store may not have yet, by hash."""
        self.stored: dict[str, dict[str, str]] = {}
        """Hashes of definitions that the store has → hashes of their sub-workflows by id."""
        self.checker: Checker
        self.on_change: list[Callable[[], None]] = []
        self.on_commit: list[Callable[[Sequence[RunChange], Mapping[int, RunState]], None]] = []
        """Called after each commit with its changes, and the runs that it ended by key."""
        self.roots: Callable[[], Collection[int] | None] = lambda: None
        """The roots whose commands this process carries out; None: all."""
        self._flushing = False
        self._admitted = 0
        self._waiting: deque[anyio.Event] = deque()
        """What those who want to begin a run wait for, one for each turn of the loop."""
        self._joined = 0
        """How many have come to wait, since nobody waited."""
        self._breath = 0.0
        """When the event loop last had its turn."""
        self._quiet = anyio.Event()

    # inputs

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
        check_size(data, self.limits.event_size)
        count, _ = await self.store.publish(topic, data, event_id, self.now(), filter_matches)
        await self.take_inbox(self.roots())
        return count

    async def admit(self) -> None:
        """Return when one more run may be begun: of very many at once some wait for the next turn of the loop."""
        if self._admitted < ADMITTED:
            self._admitted += 1
            return
        if self._joined % ADMITTED == 0:
            self._waiting.append(anyio.Event())
        self._joined += 1
        self._wake.set()
        await self._waiting[-1].wait()

    def _admit_more(self) -> None:
        self._admitted = 0
        if self._waiting:
            self._waiting.popleft().set()
            self._admitted = ADMITTED
        if self._waiting:
            self._wake.set()
        else:
            self._joined = 0

    # the loop

    async def pump(self) -> None:
        """Flush whatever no worker flushes; never ends by itself."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            self._admit_more()
            if self.inbox_due:
                self.inbox_due = False
                await self.take_inbox(self.roots())
            if self._inputs and not self._flushing:
                self._flushing = True
                try:
                    ready = await self._flush()
                finally:
                    self._flushing = False
                    self._look_if_quiet()
                self.runtime.push(ready)
            if self._inputs and not self._flushing:  # who flushes now wakes us afterwards
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
        breathless = self._breathless
        if self._flushing or (self.runtime.waiting and not breathless and len(self._inputs) < MOST):
            self._wake.set()  # if this worker comes to wait in its next step, the pump flushes
            return ()
        self._flushing = True
        try:
            if breathless or self.slots.running > len(self._inputs):
                await self._breathe()
            return await self._flush()
        finally:
            self._flushing = False
            self._look_if_quiet()
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
            self.put(Input(root, look_again))
        elif not self._inputs and not self._flushing and not self.slots.running:
            self._quiet.set()

    def _look_if_quiet(self) -> None:
        if not self._inputs and not self.slots.running:
            self._quiet.set()

    async def idle(self) -> None:
        """Return when nothing runs and nothing is left to apply."""
        while self._inputs or self._flushing or self.slots.running:
            if self._quiet.is_set():
                self._quiet = anyio.Event()
            await self._quiet.wait()

    @property
    def _breathless(self) -> bool:
        return time.monotonic() - self._breath > BREATH

    async def _breathe(self) -> None:
        """Let the others in the event loop have their turn."""
        await anyio.lowlevel.checkpoint()
        self._breath = time.monotonic()

    async def _flush(self) -> Sequence[Work]:
        """Apply what has come in, plan, claim, commit."""
        self.moment = self.now()
        held, trees = await self._take_in()
        claimed: list[tuple[RunState, Node]] = []
        fenced: Sequence[Fenced] = ()
        try:
            await self.slots.fill(trees, claimed)
            changes = self._collect(trees)
            if changes:
                if self._breathless:
                    await self._breathe()
                reach("before-commit")
                fenced = await self._commit(trees, changes, held)
                reach("after-commit")
        except StoreError as error:
            self.slots.running -= len(claimed)
            await self._failed(held, trees, error)
            return ()
        except Exception as error:  # a fault of ours: doing the same once more would end the same
            self.slots.running -= len(claimed)
            self._abandon(held, trees, error)
            self.tell_everybody()
            return ()
        for refused in fenced:
            self._lost(refused.run, held)
        self._settle(trees, held, changes)
        if fenced:  # who waits for what we hold no more has to look at the store
            self.tell_everybody()
        ready = [(run, node) for run, node in claimed if run.tree.key in self.trees]
        self.slots.running -= len(claimed) - len(ready)  # claims of trees that somebody else holds now
        return [Work(run.key, node.n, node.address, node.attempt, node.entry) for run, node in ready]

    async def _commit(
        self, trees: Sequence[Tree], changes: Sequence[RunChange], held: Sequence[Input | Finished]
    ) -> Sequence[Fenced]:
        """Commit; where a fault of ours is in the way, each tree by itself: it is of one of them."""
        made = {change.create.definition for change in changes if change.create is not None} & self.unstored.keys()
        if made:  # of child runs that a template named
            await self.store.put_definitions({name: self.unstored[name] for name in made})
            for name in made:
                self.unstored.pop(name, None)
        try:
            return await self.store.commit(changes)
        except Exception as error:
            if isinstance(error, StoreError) or len(trees) < 2:
                raise
        fenced: list[Fenced] = []
        for tree in trees:
            own = [run.change for run in tree.touched.values() if run.change is not None]
            try:
                fenced.extend(await self.store.commit(own))
            except Exception as error:
                for change in own:
                    change.stamp = None
                self._abandon([item for item in held if item.root == tree.key], [tree], error)
                self.tell_everybody()
        return fenced

    async def _take_in(self) -> tuple[list[Input | Finished], list[Tree]]:
        """Apply the inputs of one flush, not so many that the loop stands still for long; let the planner work.

        A fault of ours ends the run it happened in, not the loop.
        """
        inputs, began = self._inputs, time.monotonic()
        held: list[Input | Finished] = []
        touched: dict[int, Tree] = {}
        while inputs and len(held) < MOST and time.monotonic() - began < SLICE:
            item = inputs.popleft()
            if isinstance(item, Finished):
                self.slots.running -= 1
            try:
                if not await self._hold(item):
                    continue
            except Exception as error:  # of one run: the others go on
                await self._not_held(item, error)
                continue
            held.append(item)
            tree = self.trees.get(item.root)
            if tree is not None:
                touched[item.root] = tree
                self._apply(tree, item)
        for tree in touched.values():
            self._apply(tree)
            if len(tree.runs) > 1:  # there may be new child runs
                self.keep_runs(tree)
        return held, list(touched.values())

    def _apply(self, tree: Tree, item: Input | Finished | None = None) -> None:
        """Apply an input; without one, carry out what is left to do."""
        try:
            if tree.todo or item is None:
                drain(tree)
            if item is not None:
                item.apply(tree)
        except Exception as error:
            log.exception("a fault of agentflow in run %s", tree.root.id)
            self._broken(tree, error)

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
        over: dict[int, RunState] = {}
        for tree in trees:
            for run in list(tree.touched.values()):
                change, run.change = run.change, None
                if run.ended:
                    over[run.key] = run
                    if run.key != tree.key:
                        self._forget(run)
                if change is not None:
                    self._landed(run, change)
            tree.touched.clear()
        if self.slots.blocked and any(change.free or change.release for change in changes):
            for root in self.slots.blocked:
                self.put(Input(root, look_again))
        for hook in self.on_commit:
            hook(changes, over)
        for item in inputs:
            if item.done is not None:
                item.done.event.set()

    def _landed(self, run: RunState, change: RunChange) -> None:
        """A run's change is committed: note what follows from it."""
        landed(run, change)
        if change.inbox_done:
            self._seen.difference_update(change.inbox_done)
        if change.timers:
            self.slots.new_timers(change.timers)
        if change.patch is not None and change.patch.paused is False:
            self.slots.note(self.now())  # its timers count again, and some may be due
        if change.subscriptions:
            self.look_at_inbox()
        if change.release:
            self._drop(run.tree)
