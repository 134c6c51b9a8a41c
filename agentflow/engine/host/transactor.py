"""Plans transitions: carries out commands in held trees, lets the planner work, gives out slots, has it all committed.

One flush takes everything that has happened since the last one, in all trees, and commits it in one transaction. A
worker that finishes alone flushes by itself and goes on with the successor; when others run too, the first to finish
waits for one turn of the loop, so that all that finishes in it shares the commit. What comes in while one is committed
shares the next one: planning that meanwhile, for other trees, has been tried, and made nothing faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import anyio

from agentflow.engine.exchange import Stopped
from agentflow.engine.host.cache import TreeCache
from agentflow.engine.host.committer import Committer
from agentflow.engine.host.environment import Environment
from agentflow.engine.host.flush import Flush, Work
from agentflow.engine.host.loading import Loader
from agentflow.engine.host.queue import Input, Item, Queue
from agentflow.engine.host.refolding import Refolding
from agentflow.engine.host.slots import Slots
from agentflow.engine.plan.carrying import carry_out
from agentflow.engine.plan.commands import TOUCH, Outcome
from agentflow.engine.plan.drive import drain
from agentflow.engine.plan.faults import fail_tree
from agentflow.engine.plan.state import Tree
from agentflow.store.rows import TERMINAL, RunChange

MOST = 128
"""Commands of one flush."""
SLICE = 0.003
"""Seconds after which a flush takes no more commands."""
BREATH = 0.002
"""Seconds after which steps that never wait let the others in the event loop have their turn."""


class Transactor:
    """Turns commands into committed transitions."""

    def __init__(
        self,
        env: Environment,
        cache: TreeCache,
        queue: Queue,
        slots: Slots,
        loader: Loader,
        committer: Committer,
        refolding: Refolding,
    ) -> None:
        """Plan nothing yet."""
        self._env = env
        self._cache = cache
        self._queue = queue
        self._slots = slots
        self._loader = loader
        self._committer = committer
        self._refolding = refolding
        self.at_work = False
        """Whether a flush is being planned or committed: then who is at it wakes the pump afterwards."""
        self.committing: Flush | None = None
        """What is being committed."""
        self.flushes = 0
        """How many have come to an end."""
        self._breath = 0.0
        """When the event loop last had its turn."""
        self.quiet = anyio.Event()
        """Set when nothing more may be going on, or nothing that gets anywhere."""
        self.compute: Callable[[Flush], bool] = lambda flush: False
        """Executes claimed steps of a flush that need no commit before."""
        committer.on_refusal = self.look

    @property
    def busy(self) -> bool:
        """Whether anything is being executed, or is still to be carried out or saved."""
        return bool(self._queue.items or self.at_work or self._slots.running or self._refolding.at_work)

    @property
    def breathless(self) -> bool:
        """Whether others in the event loop have waited long for their turn."""
        return time.monotonic() - self._breath > BREATH

    def look(self) -> None:
        """Let those look who wait until all is quiet."""
        self.quiet.set()

    def unsaved(self) -> list[str]:
        """Return the addresses of steps that have ended, which the store doesn't know yet."""
        committing = self.committing
        items = [*(committing.held if committing else ()), *self._queue.items]
        ended = (item for item in items if isinstance(item, Outcome) and not isinstance(item.value, Stopped))
        return list(dict.fromkeys(item.address for item in ended))

    async def flush(self, *, breathe: bool = False) -> Sequence[Work]:
        """Carry out what has come in, plan, claim, commit; returns what may run now."""
        self.at_work = True
        try:
            if breathe:
                await self._breathe()
            flush = self.committing = await self._plan()
            return await self._committer.commit(flush) if flush is not None else ()
        finally:
            flush, self.committing, self.at_work = self.committing, None, False
            if flush is not None:
                self.flushes += 1
                if flush.again:
                    self._queue.put_first(flush.again)
            self.go_on()

    def go_on(self) -> None:
        """See to what has come in meanwhile, and to slots that are free now."""
        root = None if self.at_work else self._slots.first
        if root is not None:
            self._queue.put(Input(root, TOUCH))
        if self._queue.items:
            self._queue.wake()
        elif not self._slots.running and not self.busy:
            self.quiet.set()

    async def _breathe(self) -> None:
        """Let the others in the event loop have their turn."""
        await anyio.lowlevel.checkpoint()
        self._breath = time.monotonic()

    async def _plan(self) -> Flush | None:
        """Carry out what has come in, plan and claim; None when that failed, or nothing has come of it."""
        self._env.moment = self._env.now()
        held, trees = await self._take_in()
        flush = Flush(held, trees)
        try:
            await self._go_through(flush)
            while self.compute(flush):
                await self._go_through(flush)
            flush.changes = _collect(trees)
            if not flush.changes and not held:
                return None
            if flush.changes and self.breathless:
                await self._breathe()
        except Exception as error:
            await self._committer.undo(flush, error)
            self._queue.put_first(flush.again)
            return None
        return flush

    async def _go_through(self, flush: Flush) -> None:
        """Let the planner work in all trees until nothing is left to do, and claim steps for free slots."""
        todo = True
        while todo:  # a step that was to be claimed may have to be asked for once more
            for tree in flush.trees:
                while not _apply(tree):
                    await self._env.keys.restock()
                if tree.handed:
                    flush.taken += tree.handed
                    self._slots.running += len(tree.handed)
                    tree.handed = []
                if len(tree.runs) > 1:  # there may be new child runs
                    self._cache.keep_runs(tree)
            self._slots.fill(flush.trees, flush.claimed)
            todo = any(tree.todo for tree in flush.trees)

    async def _take_in(self) -> tuple[list[Item], list[Tree]]:
        """Carry out the commands of one flush, not so many that the loop stands still for long.

        A fault of ours ends the run it happened in, not the loop.
        """
        items, began, refolding = self._queue.items, time.monotonic(), self._refolding
        held: list[Item] = []
        touched: dict[int, Tree] = {}
        while items and len(held) < MOST and time.monotonic() - began < SLICE:
            item = items.popleft()
            root = item.root
            if refolding.at_work and refolding.defers(item):
                continue
            if isinstance(item, Outcome):
                self._slots.running -= 1
            tree = self._cache.trees.get(root)
            if tree is None or self._loader.always_replay:
                try:
                    if not await self._loader.hold(item):
                        continue
                except Exception as error:  # of one run: the others go on
                    await self._loader.not_held(item, error)
                    continue
                tree = self._cache.trees.get(root)
            if tree is not None:
                touched[root] = tree
                if not _apply(tree, item):
                    if isinstance(item, Outcome):
                        self._slots.running += 1
                    items.appendleft(item)
                    break
            held.append(item)
        return held, list(touched.values())


def _apply(tree: Tree, item: Item | None = None) -> bool:
    """Carry out a command; without one, what is left to do. False: that needs more keys of child runs first."""
    try:
        if tree.todo or item is None:
            drain(tree)
            if tree.todo:
                return False
        if isinstance(item, Outcome):
            carry_out(tree, item)
        elif item is not None and carry_out(tree, item.command) is False and item.done is not None:
            item.done.held = False  # who waits is told so after the commit
    except BaseException as error:  # nothing here waits, so it is nobody's cancellation
        fail_tree(tree, error)
    return True


def _collect(trees: Sequence[Tree]) -> list[RunChange]:
    changes: list[RunChange] = []
    for tree in trees:
        root = tree.root
        if root.state in TERMINAL:
            root.changes().release = True
        elif _parked(tree):
            root.changes().release = True
            root.changes().asleep = True
        changes.extend([run.change for run in tree.touched.values() if run.change is not None])
    return changes


def _parked(tree: Tree) -> bool:
    """Tell whether nothing of a tree is in progress but waits and times."""
    for run in tree.runs.values():  # noqa: SIM110  a generator costs more, and this is done for every step
        if run.running or run.busy or (run.timing and run.soon):
            return False
    return True
