"""A run in memory: scopes and nodes, and what the current transition changes. A cache: rows can rebuild all of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from agentflow.data import decode, encode
from agentflow.engine.decided import Canceling, encoded
from agentflow.engine.plan.carried import Response, Seeds, Shared
from agentflow.engine.plan.effects import Effect
from agentflow.engine.plan.environment import Environment
from agentflow.engine.plan.marks import ROOT, SOON
from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.spending import Spending
from agentflow.engine.plan.treasury import Treasury
from agentflow.engine.program import Program
from agentflow.engine.volume import Volume
from agentflow.errors import Failure
from agentflow.store.acknowledgement import Stamp
from agentflow.store.rows import (
    HELD,
    TERMINAL,
    EventRow,
    NewRun,
    RunChange,
    RunPatch,
    RunRow,
    State,
    StepRow,
    TimerRow,
    added,
)
from agentflow.usage import NOTHING

_row = cast("Callable[[Any, Any], Any]", tuple.__new__)
"""Makes a row, as `StepRow(…)` does with a function around it: these are the most frequent of all."""


class RunState:
    """A held run."""

    __slots__ = (
        "_shared", "asks_anew", "cancel", "change", "children", "failures", "held", "id", "input", "key",
        "last_response", "live", "next_n", "order", "parent", "parent_run", "past", "patched", "paused", "program",
        "queued", "queueing", "ready", "root", "row", "running", "seeds", "stamp", "state", "timing", "tolerated",
        "tree", "used", "volume", "waits",
    )  # fmt: skip

    def __init__(self, tree: Tree, row: RunRow | NewRun, key: int, program: Program, parent: Node | None) -> None:
        """Make the state of a run without any steps."""
        self.tree = tree
        self.key = key
        self.id = row.id
        self.row = row
        self.program = program
        tree.treasury = tree.treasury or (Treasury() if program.workflow.budget else None)
        self.parent = parent
        """The workflow step of the parent run that it stands for."""
        self.parent_run: RunState | None = None
        self.input = decode(row.input)
        self.state: State = row.state
        self.root = Node(None, 0, program.root, ROOT, "")
        self.root.state = "working"
        self.root.attempt = 1
        self.next_n = len(program.workflow.steps)
        self.live: dict[int, Node] = {}
        """Nodes in progress by number."""
        self.ready: list[tuple[int, Node]] = []
        """Heap of steps that wait for a slot, by number: numbers follow the definition."""
        self.past: dict[str, Node] = {}
        """Nodes of earlier attempts of their container, by address: numbers and attempts go on."""
        self.queueing: dict[int, Node] = {}
        """Steps that wait for a slot of their key."""
        self.running = 0
        self.timing = 0
        """How many nodes wait for a time other than a timeout."""
        self.waits: dict[str, Node] = {}  # open ones, by task id
        self.asks_anew = False
        """Whether other waits are open than before this transition, here or below."""
        self.children: dict[int, RunState] = {}
        """Child runs in progress."""
        self.paused = False
        self.held: Sequence[Node] = ()
        """Waits and containers that were reached while it was paused; no rows tell of them."""
        self.cancel: Canceling | None = None
        self._shared: Shared | None = None
        self.queued = False
        self.last_response: Response | None = None
        self.failures: Sequence[Failure] = ()
        self.change: RunChange | None = None
        self.stamp: Stamp | None = None
        """Where its log stood after the last commit."""
        self.patched: dict[str, Any] = {}
        """Fields of its row that commits of this holder have changed."""
        self.order = 0
        self.tolerated = 0  # failures
        self.volume: Volume | None = None
        self.used = NOTHING  # and the runs below it, ended ones too
        self.seeds: Seeds | None = None
        """Of a retry: what it keeps and hasn't come to yet."""

    @property
    def shared(self) -> Shared:
        """Its shared keys; most runs have none."""
        if self._shared is None:
            self._shared = Shared()
        return self._shared

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self.state in TERMINAL

    @property
    def forced(self) -> bool:
        """Whether it was cancelled by force: hooks and compensation are left out."""
        return self.cancel is not None and self.cancel.force

    @property
    def moving(self) -> bool:
        """Whether a step of it executes, or could."""
        return bool(self.running or ((self.ready or self.held) and not self.paused))

    @property
    def busy(self) -> bool:
        """Whether a step of it executes, could, or waits for a slot."""
        return bool(self.queueing) or self.moving

    @property
    def row_is_new(self) -> bool:
        """Whether its first commit is still to come."""
        return self.change is not None and self.change.create is not None

    @property
    def soon(self) -> bool:
        """Whether a time comes so soon that letting go of the run isn't worth it."""
        if not self.timing or self.paused:
            return False
        limit = self.tree.env.moment + SOON
        return any(node.due is not None and node.due <= limit for node in self.live.values())

    # what the current transition changes

    def changes(self) -> RunChange:
        """Return the change that the current transition fills."""
        change = self.change
        if change is None:
            change = self.change = RunChange(self.key, self.tree.key, self.tree.epoch)
            self.tree.touched[self.key] = self
        return change

    def save(self, node: Node, *, memo: bool = False, result: bool = False) -> None:
        """Write a node's row in this transition."""
        if node.n == ROOT:
            self.patch(memo=encoded(node.decided))
            return
        if not node.order and node.state in TERMINAL:
            self.order += 1
            node.order = self.order
        failure = node.failure
        (self.change or self.changes()).steps.append(_row(StepRow, (
            self.key, node.n, node.address, node.state, node.reason, node.phase, node.attempt, node.tries,
            node.entry, node.crashes, node.task, node.started, node.ended,
            encode(failure.to_data()) if failure is not None else None,
            encoded(node.decided, node.undone, node.tolerated) if memo else None,
            node.result if result else None,
            node.order,
        )))  # fmt: skip

    def emit(
        self, kind: str, step: str | None = None, data: Mapping[str, Any] | bytes | None = None, *,
        task: str | None = None, bumps: bool = False,
    ) -> None:  # fmt: skip
        """Append an event in this transition; its data may be JSON already."""
        raw = data if isinstance(data, bytes) else encode(data) if data else None
        (self.change or self.changes()).events.append(
            _row(EventRow, (kind, step, raw, self.tree.env.moment, task, bumps))
        )

    def patch(self, **fields: Any) -> None:
        """Change fields of the run in this transition."""
        change = self.changes()
        old = change.patch
        if old is None:
            change.patch = RunPatch(at=self.tree.env.moment, **fields)
        else:  # None means "unchanged": it mustn't undo what this transition said before
            change.patch = old._replace(**{name: value for name, value in fields.items() if value is not None})

    def tolerate(self, node: Node, count: int = 1) -> None:
        """Count failures that were tolerated; a negative count takes them back: their container is tried again."""
        if count:
            node.tolerated += count
            self.tolerated += count
            self.patch(tolerated=self.tolerated)

    def set_timer(self, node: Node, due: float, kind: str) -> None:
        """Make something due."""
        stored = due + HELD if self.paused else due
        change = self.changes()
        change.timers = added(change.timers, TimerRow(stored, self.key, node.n, kind, node.entry))
        if kind in {"timer", "backoff"}:
            if node.due is None:
                self.timing += 1
            node.due = due

    def drop_timer(self, node: Node, kind: str) -> None:
        """Forget a timer."""
        change = self.changes()
        change.drop_timers = added(change.drop_timers, (node.n, kind))
        if kind in {"timer", "backoff"} and node.due is not None:
            self.timing -= 1
            node.due = None

    # parts of the planner's state

    def begin_node(self, scope: Scope, member: int) -> Node:
        """Make the node of a step that is reached now; numbers and attempts of an earlier one go on."""
        address = scope.address(member)
        program = scope.program.member(member)
        old = self.past.pop(address, None) if self.past else None
        if old is not None:
            node = Node(scope, member, program, old.n, address)
            node.attempt, node.entry, node.crashes, node.undone = old.attempt, old.entry, old.crashes, old.undone
        elif scope.owner.n == ROOT and scope.stage == "body":
            node = Node(scope, member, program, member, address)
        else:
            node = Node(scope, member, program, self.next_n, address)
            self.next_n += 1
        scope.nodes[member] = node
        scope.active += 1
        self.live[node.n] = node
        return node


class Tree:
    """A root run with the descendants that haven't ended: one lease, one holder."""

    __slots__ = (
        "broken_off",
        "checks",
        "effects",
        "env",
        "epoch",
        "handed",
        "key",
        "programs",
        "runs",
        "spending",
        "todo",
        "touched",
        "treasury",
    )

    def __init__(self, env: Environment, key: int, epoch: int) -> None:
        """Make an empty tree."""
        self.env = env
        self.key = key
        self.epoch = epoch
        self.programs: Sequence[Program] = ()
        """What keeps the programs in memory that its child runs may need."""
        self.runs: dict[int, RunState] = {}
        self.touched: dict[int, RunState] = {}
        """Runs that the current transition changes, parents first where both are new."""
        self.handed: list[tuple[RunState, Node]] = []
        """Steps that a host before this one has handed out: they are taken over as they are."""
        self.effects: list[Effect] = []
        """What it does outside."""
        self.todo: deque[tuple[str, tuple[Any, ...]]] = deque()
        """What the planner still has to do in this transition: operation and arguments."""
        self.checks: dict[Scope, RunState] = {}
        """Scopes to look at once nothing else is to be done: have they ended?"""
        self.spending: Spending | None = None
        """What its attempts have used; None: nothing."""
        self.treasury: Treasury | None = None
        """Who is let in and held back; None: it has no budget."""
        self.broken_off = False
        """Whether this transition finds steps that a death broke off: it is stored before they are claimed again."""

    @property
    def root(self) -> RunState:
        """The root run."""
        return self.runs[self.key]

    @property
    def taking(self) -> bool:
        """Whether its lease is taken by the current transition."""
        change = self.root.change
        return change is not None and change.take

    def first_change(self) -> RunChange:
        """Return the change of the root, which comes before all others: they are committed only if it is."""
        touched, root = self.touched, self.root
        change = root.changes()
        if next(iter(touched)) != self.key:
            others = [run for run in touched.values() if run is not root]
            touched.clear()
            touched.update({run.key: run for run in (root, *others)})
        return change

    def push(self, operation: str, *args: Any) -> None:
        """Leave something to do in this transition."""
        self.todo.append((operation, args))
