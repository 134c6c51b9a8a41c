"""Who may execute now: slots of the host and of each run."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush

from agentflow.engine.host.cache import TreeCache
from agentflow.engine.host.queue import Input, Queue
from agentflow.engine.plan.approving import asks_anew
from agentflow.engine.plan.claims import claim
from agentflow.engine.plan.commands import Deadlocked, Granted
from agentflow.engine.plan.frame import RUN_PARALLEL
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState, Tree
from agentflow.store.rows import RunChange

SOLO_AFTER = 2
"""Steps that were running in this many crashes run one at a time."""


class Slots:
    """Hands out slots: round robin among runs, in definition order within a run."""

    def __init__(self, limit: int, cache: TreeCache, queue: Queue) -> None:
        """Make a set of free slots for steps of the trees that are held."""
        self.limit = limit
        self.running = 0
        self.stopping = False
        """Whether nothing new is to begin: the host comes to its end."""
        self._cache = cache
        self._commands = queue
        self._runs = cache.runs
        self._queue: deque[RunState] = deque()
        self._blocked: list[tuple[RunState, Node]] = []
        """Those that have to run alone, while another one does."""
        self._solo: tuple[int, int] | None = None

    def fill(self, trees: list[Tree], claimed: list[tuple[RunState, Node]]) -> None:
        """Claim steps for free slots, in the transition that is being planned.

        Args:
            trees: the trees of this transition; runs of theirs with ready steps queue up. Trees of others that get a
                slot are added.
            claimed: what is claimed is added.
        """
        for tree in trees:
            for run in tree.runs.values():
                if run.ready:
                    self.queue(run)
        blocked, self._blocked = self._blocked, []
        for run, _ in blocked:
            self.queue(run)
        try:
            self._fill(trees, claimed)
        finally:
            for run, node in self._blocked:
                heappush(run.ready, (node.n, node))

    def _fill(self, trees: list[Tree], claimed: list[tuple[RunState, Node]]) -> None:
        queue = self._queue
        known = set(map(id, trees))
        while queue and self.running < self.limit:
            run = queue.popleft()
            run.queued = False
            if self._runs.get(run.key) is not run:
                continue  # it was read anew from the store, or is gone
            if (self._claim(run, claimed) or run.tree.todo) and run.tree.touched and id(run.tree) not in known:
                known.add(id(run.tree))
                trees.append(run.tree)

    def _claim(self, run: RunState, claimed: list[tuple[RunState, Node]]) -> bool:
        """Claim a step of a run, or many while no other run queues; False: it has none."""
        most, before = run.program.workflow.max_parallel or RUN_PARALLEL, len(claimed)
        while (node := self._take(run)) is not None:
            if node.program.gated and asks_anew(run, node):
                continue
            claim(run, node)
            self.running += 1
            claimed.append((run, node))
            if self._queue or self.running >= self.limit or run.running >= most:
                self.queue(run)
                break
        return len(claimed) > before

    def queue(self, run: RunState) -> None:
        """Let a run queue for slots, if it has use for them."""
        if run.queued or not run.ready or run.paused or run.ended or run.tree.broken_off:
            return
        if run.running >= (run.program.workflow.max_parallel or RUN_PARALLEL):
            return
        run.queued = True
        self._queue.append(run)

    def _take(self, run: RunState) -> Node | None:
        if run.paused or run.ended or self.stopping:
            return None
        while run.ready:
            node = heappop(run.ready)[1]
            if node.settled or run.live.get(node.n) is not node:
                continue
            if node.crashes >= SOLO_AFTER and not self._alone(run, node):
                self._blocked.append((run, node))
                continue
            return node
        return None

    def _alone(self, run: RunState, node: Node) -> bool:
        """Let one step after the other run alone; they are found by number, as nodes may be read anew."""
        if self._solo is not None:
            held = self._runs.get(self._solo[0])
            other = held.live.get(self._solo[1]) if held is not None else None
            if other is not None and other is not node and other.phase == "run":
                return False
        self._solo = (run.key, node.n)
        return True

    @property
    def first(self) -> int | None:
        """Root of the first run that queues, while a slot is free."""
        if not self._queue or self.running >= self.limit:
            return None
        return next((run.tree.key for run in self._queue if self._runs.get(run.key) is run), None)

    def committed(self, changes: Sequence[RunChange]) -> None:
        """A commit has given slots of keys to steps, or has told that some would wait for ever."""
        for change in changes:
            for grant in change.grants:
                if grant.root in self._cache.trees:
                    self._commands.put(Input(grant.root, Granted(grant.run, grant.n)))
            for n in change.deadlocked:
                self._commands.put(Input(change.root, Deadlocked(change.run, n)))
