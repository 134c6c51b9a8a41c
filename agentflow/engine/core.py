"""The core of a host: applies inputs to held trees, lets the planner work, commits, and hands out what may run.

One flush takes everything that has happened since the last one, in all trees, and commits it in one transaction. A
worker that finishes alone flushes by itself and goes on with the successor; when others run too, the first to finish
waits for one turn of the loop, so that all that finishes in it shares the commit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import anyio
from anyio.lowlevel import current_token

from agentflow.engine.admission import Admission
from agentflow.engine.context import StepContext
from agentflow.engine.execute import execute
from agentflow.engine.flush import Flush
from agentflow.engine.gate import PUBLISHED
from agentflow.engine.inputs import Done, Input, Item
from agentflow.engine.landing import Landing
from agentflow.engine.marks import UNBEGUN
from agentflow.engine.needs import missing_skills
from agentflow.engine.notes import Later
from agentflow.engine.plan import reducing
from agentflow.engine.plan.carrying import carry_out, command_of
from agentflow.engine.plan.commands import TOUCH, Begun, Command, Outcome, Saved, Stopped
from agentflow.engine.plan.drive import drain
from agentflow.engine.plan.faults import defect, fail_tree
from agentflow.engine.ports import Told
from agentflow.engine.program import Program
from agentflow.engine.runtime.base import Work, WorkLease
from agentflow.engine.runtime.embedded import EmbeddedRuntime
from agentflow.engine.state import Node, RunState, Tree
from agentflow.errors import StoreError
from agentflow.expressions import filter_matches
from agentflow.faultpoints import reach
from agentflow.redaction import use
from agentflow.requirements import Checker
from agentflow.steps.failing import is_cancellation
from agentflow.store.contract import Store
from agentflow.store.rows import TERMINAL, RunChange

log = logging.getLogger("agentflow")

MOST = 128
"""Inputs of one flush."""
AHEAD = 64
"""Inputs from which on the next flush is planned while one lands: fewer had better share a commit with what comes."""
SLICE = 0.003
"""Seconds after which a flush takes no more inputs."""
BREATH = 0.002
"""Seconds after which steps that never wait let the others in the event loop have their turn."""


class Core(Landing):
    """Executes runs. Implements the runtime's `Handler`."""

    def __init__(
        self, surroundings: dict[str, Any], store: Store, runtime: EmbeddedRuntime, host_parallel: int
    ) -> None:
        """Make a core that holds nothing yet."""
        super().__init__(surroundings, store, host_parallel)
        self.runtime = runtime
        self.checker: Checker
        self.roots: Callable[[], Collection[int] | None] = lambda: None
        """The roots whose commands this process carries out; None: all."""
        self.admission = Admission(self._wake_up)
        self._loop: Any = None
        """The event loop that everything here happens in."""
        self.telling = Later(self.signals.new)
        self._planning = False
        self._landing: Flush | None = None
        """What is being committed. Its trees are left alone meanwhile."""
        self._breath = 0.0
        """When the event loop last had its turn."""
        self._flushes = 0
        """How many have come to an end."""

    # inputs

    async def apply(self, root: int, command: Command) -> bool:
        """Have a command carried out and committed; False when somebody else holds the tree."""
        done = Done(self.signals.new())
        self.put(Input(root, command, done))
        await done.wait()
        return done.held

    def send(self, run: RunState, command: Command) -> None:
        """Leave a command for the tree of a run."""
        self.put(Input(run.tree.key, command))

    def later(self, told: Told) -> None:
        """Let something have its turn a few times a second."""
        self.telling.add(told)

    def soon(self, call: Callable[[], None]) -> None:
        """Have the event loop call something; safe in any thread."""
        self._loop.call_soon_threadsafe(call)

    async def save_state(self, run: RunState, node: Node, state: Any) -> None:
        """Commit the state of a running step."""
        await self.apply(run.tree.key, Saved(run.key, node.n, state))

    async def take_inbox(self, roots: Collection[int] | None = None, *, taken_too: bool = False) -> list[Done]:
        """Leave the commands that other doors committed as inputs; returns what tells when each is carried out.

        With `taken_too` also of those that were left as inputs before, and are still to be carried out.
        """
        taken: list[Done] = []
        for root, item in await self.store.inbox(roots, dead=self.dead):
            known = item.id in self._seen
            if not known:
                self._seen.add(item.id)
                if item.kind == "cancel":
                    self.refolding.hurry(root)
                taken.append(Done(self.signals.new(), item.id))
                self.put(Input(root, command_of(item), taken[-1]))
            elif taken_too:  # it comes after that one
                taken.append(Done(self.signals.new()))
                self.put(Input(root, TOUCH, taken[-1]))
        return taken

    def missing_everywhere(self, program: Program) -> list[str]:
        """Return what the steps of a workflow need and haven't got."""
        return missing_skills(program, self.checker)

    async def publish(self, topic: str, data: Any, event_id: str | None, owner: str) -> int:
        """Publish an event of a running step, as its run's owner."""
        data = self.gate.data(data, PUBLISHED)
        self.gate.encoded([topic, event_id], PUBLISHED)
        self.gate.without_secrets([topic, event_id], "the topic or id of an event")
        count, _ = await self.store.publish(topic, data, event_id, self.now(), filter_matches, owner=owner)
        await self.take_inbox(self.roots())
        return count

    # the loop

    async def pump(self) -> None:
        """Flush whatever no worker flushes; never ends by itself."""
        use(self.gate.redactor)
        self._loop = current_token().native_token
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            self.admission.turn()
            if self.inbox_due:
                self.inbox_due = False
                try:
                    await self.take_inbox(self.roots())
                except StoreError:
                    self.look_at_inbox()  # the pump starts anew
                    raise
            if self._inputs and self._may_plan:
                self.runtime.push(await self._flush())

    @property
    def _may_plan(self) -> bool:
        """Whether a flush may be planned; else who plans or lands one wakes the pump afterwards."""
        return not self._planning and (self._landing is None or len(self._inputs) >= AHEAD)

    def enter(self) -> None:
        """A worker begins: whatever is cut in its task loses this agent's secrets before."""
        use(self.gate.redactor)

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
            if node.memo is not None and UNBEGUN in node.memo:
                await self._begin(run, node)
            if node.program.timeout is not None and not reducing.waits(node):
                self.slots.deadline(run, node)
            outcome, context = await self._executed(run, node, lease)
            reach("mid-step")
        self.slots.stopped(run.key, node.n, node.attempt)
        self._let_go(work, node, lease)
        left = context.left if context is not None else None
        self._inputs.append(Outcome(run.tree.key, run.key, node.n, node.attempt, node.address, outcome, left))
        breathless = self._breathless
        if not self._may_plan or (self.runtime.waiting and not breathless and len(self._inputs) < MOST):
            self._wake.set()  # if this worker comes to wait in its next step, the pump flushes
            return ()
        return await self._flush(breathe=breathless or self.slots.running > len(self._inputs))

    async def _executed(self, run: RunState, node: Node, lease: WorkLease) -> tuple[Any, StepContext | None]:
        """Execute a step; whatever else goes wrong in that is its failure, and nobody else's."""
        try:
            if reducing.waits(node):
                return await self.reducers.work(run, node), None
            outcome, context = await execute(self, run, node, lease)
            if node.program.update is not None and run.program.reducers and isinstance(outcome, bytes):
                outcome = await self.reducers.work(run, node, outcome)
            return outcome, context
        except BaseException as error:
            if is_cancellation(error):
                raise
            return defect(run, error), None

    async def _begin(self, run: RunState, node: Node) -> None:
        """Store that a step begins which the death of its host has broken off before; who dies from now on counts."""
        while True:
            try:
                await self.apply(run.tree.key, Begun(run.key, node.n))
                return
            except StoreError:  # logged where it came about
                await anyio.sleep(0.2)

    def _let_go(self, work: Work, node: Node, lease: WorkLease) -> None:
        """Let nobody interrupt what a worker does after a step; the step's node may have been read anew meanwhile."""
        run = self.runs.get(work.run)
        current = run.live.get(work.n) if run is not None else None
        for known in (node, current):
            if known is not None and known.lease is lease:
                known.lease = None
        if self.stopping:
            self._quiet.set()

    def _not_executed(self) -> None:
        """Give back the slot of a claimed step whose tree is lost, or that was stopped before it began."""
        self.slots.running -= 1
        self._go_on()

    @property
    def _busy(self) -> bool:
        return bool(self._inputs or self._planning or self._landing or self.slots.running or self.refolding.busy)

    async def idle(self) -> None:
        """Return when nothing runs and nothing is left to apply."""
        await self._until(lambda: not self._busy)

    async def executed(self) -> None:
        """Return when no step is being executed, whether or not what came of them can be saved."""
        await self._until(lambda: not self.executing)

    async def saved(self, patience: float) -> bool:
        """Return when all is saved; False: the store refuses it, or nothing was saved for some seconds."""
        while self._busy:
            flushes = self._flushes
            with anyio.move_on_after(patience):
                await self._until(lambda: not self._busy or self.refused is not None)
            if self._busy and (self.refused is not None or flushes == self._flushes):
                return False
        return True

    async def _until(self, over: Callable[[], bool]) -> None:
        while not over():
            if self._quiet.is_set():
                self._quiet = anyio.Event()
            await self._quiet.wait()

    @property
    def executing(self) -> bool:
        """Whether steps are being executed, or are about to be."""
        return self.runtime.waiting or any(
            node.lease is not None and UNBEGUN not in (node.memo or ()) for node in self.live()
        )

    def live(self) -> list[Node]:
        """Return the nodes of all runs here that are in progress."""
        return [node for run in self.runs.values() for node in run.live.values()]

    def unsaved(self) -> list[str]:
        """Return the addresses of steps that have ended, which the store doesn't know yet."""
        landing = self._landing
        items = [*(landing.held if landing else ()), *(landing.later if landing else ()), *self._inputs]
        ended = (item for item in items if isinstance(item, Outcome) and not isinstance(item.value, Stopped))
        return list(dict.fromkeys(item.address for item in ended))

    @property
    def _breathless(self) -> bool:
        return time.monotonic() - self._breath > BREATH

    async def _breathe(self) -> None:
        """Let the others in the event loop have their turn."""
        await anyio.lowlevel.checkpoint()
        self._breath = time.monotonic()

    async def _flush(self, *, breathe: bool = False) -> Sequence[Work]:
        """Apply what has come in, plan, claim, commit. While that lands on the disk, the next flush may be planned."""
        self._planning = True
        try:
            if breathe:
                await self._breathe()
            flush = await self._plan()
            if flush is None:
                return ()
            while self._landing is not None:
                await self._landing.landed()
            self._landing = flush
        finally:
            self._planning = False
            if self._landing is None or self._inputs:
                self._go_on()
        try:
            return await self.land(flush)
        finally:
            self._landing = None
            self._flushes += 1
            self.put_back(flush)
            flush.end()
            self._go_on()

    def _go_on(self) -> None:
        """See to what has come in meanwhile, and to free slots: a tree was landing, or claims came to nothing."""
        root = self.slots.first if self._landing is None else None
        if root is not None:
            self.put(Input(root, TOUCH))
        if self._inputs:
            self._wake.set()
        elif not self._busy:
            self._quiet.set()

    async def _plan(self) -> Flush | None:
        """Apply what has come in, plan and claim; None when that failed, or all has to wait for what lands."""
        self.moment = self.now()
        held, trees = await self._take_in()
        flush = Flush(held, trees)
        try:
            self.slots.fill(trees, flush.claimed, self._landing.roots if self._landing is not None else ())
            flush.changes = self._collect(trees)
            if not flush.changes and not held:
                return None
            if flush.changes and self._breathless:
                await self._breathe()
        except Exception as error:
            await self.undo(flush, error)
            self.put_back(flush)
            return None
        return flush

    async def _take_in(self) -> tuple[list[Item], list[Tree]]:
        """Apply the inputs of one flush, not so many that the loop stands still for long; let the planner work.

        A fault of ours ends the run it happened in, not the loop.
        """
        inputs, began = self._inputs, time.monotonic()
        held: list[Item] = []
        touched: dict[int, Tree] = {}
        while inputs and len(held) < MOST and time.monotonic() - began < SLICE:
            item = inputs.popleft()
            root = item.root
            landing = self._landing  # looked at anew each time: it may land while a tree is read
            if landing is not None and root in landing.roots:
                landing.later.append(item)
                continue
            if self.refolding.at_work and self.refolding.defers(item):
                continue
            if isinstance(item, Outcome):
                self.slots.running -= 1
            tree = self.trees.get(root)
            if tree is None or self.always_replay:
                try:
                    if not await self._hold(item):
                        continue
                except Exception as error:  # of one run: the others go on
                    await self._not_held(item, error)
                    continue
                tree = self.trees.get(root)
            held.append(item)
            if tree is not None:
                touched[root] = tree
                self._apply(tree, item)
        for tree in touched.values():
            self._apply(tree)
            if len(tree.runs) > 1:  # there may be new child runs
                self.keep_runs(tree)
        return held, list(touched.values())

    def _apply(self, tree: Tree, item: Item | None = None) -> None:
        """Apply an input; without one, carry out what is left to do."""
        try:
            if tree.todo or item is None:
                drain(tree)
            if item is not None:
                carry_out(tree, item if isinstance(item, Outcome) else item.command)
        except BaseException as error:  # nothing here waits, so it is nobody's cancellation
            fail_tree(tree, error)

    def _collect(self, trees: Sequence[Tree]) -> list[RunChange]:
        changes: list[RunChange] = []
        for tree in trees:
            root = tree.root
            if root.state in TERMINAL:
                root.changes().release = True
            elif self._parked(tree):
                root.changes().release = True
                root.changes().asleep = True
            changes.extend(run.change for run in tree.touched.values() if run.change is not None)
        return changes

    def _parked(self, tree: Tree) -> bool:
        """Tell whether nothing of a tree is in progress but waits and times."""
        return not any(run.running or run.busy or (run.timing and run.soon) for run in tree.runs.values())
