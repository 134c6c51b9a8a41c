"""Steps of a run in memory, and the lists that they stand in. Of most steps that have ended the row is enough."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from threading import RLock
from typing import Any, Literal

from agentflow.data import decode
from agentflow.engine.decided import UNDECIDED, decided_of
from agentflow.engine.plan.carried import UNREAD
from agentflow.engine.plan.environment import Lease
from agentflow.engine.plan.marks import SATISFYING
from agentflow.engine.program import ScopeProgram, StepProgram
from agentflow.errors import Failure
from agentflow.store.rows import TERMINAL, Phase, State, StepRow
from agentflow.store.slot_rows import SlotRow

_READING = RLock()
"""Steps in threads read what others have given, while the loop plans."""


UNDONE = frozenset({"compensated", "compensation_failed"})
"""Reasons of steps that a saga has undone, or could not."""


def is_satisfied(state: State, reason: str | None) -> bool:
    """Tell whether dependents of a step may go on that is in a state."""
    return state == "completed" or (state == "canceled" and reason in SATISFYING)


class Node:
    """One step instance of a run, once it was reached."""

    __slots__ = (
        "address", "arrived", "attempt", "closed", "crashes", "decided", "demand", "due", "ended", "entered", "entry",
        "failure", "halting", "lease", "member", "n", "opened", "order", "phase", "program", "reason", "result",
        "scope", "scopes", "slot", "started", "state", "task", "tolerated", "tries", "undone", "value", "values",
    )  # fmt: skip

    def __init__(self, scope: Scope | None, member: int, program: StepProgram, n: int, address: str) -> None:
        """Make the node of a step that has just become ready."""
        self.scope = scope
        self.member = member
        self.program = program
        self.n = n
        self.address = address
        self.state: State = "submitted"
        self.reason: str | None = None
        self.phase: Phase | None = None
        self.attempt = 0
        self.tries = 0
        self.entry = 0
        self.crashes = 0
        self.result: bytes | None = None
        self.value: Any = UNREAD
        self.failure: Failure | None = None
        self.decided = UNDECIDED
        self.task: str | None = None
        self.due: float | None = None
        self.started: float | None = None
        self.ended: float | None = None
        self.scopes: dict[str, Scope] | None = None
        self.lease: Lease | None = None
        self.halting: str | None = None
        self.arrived: Any = None
        self.entered: Literal["park", "crash", "reducing"] | None = None
        """Why it is entered again, rather than tried anew."""
        self.opened = 0
        """How many bodies were opened in this attempt."""
        self.closed = 0
        """How many of them have ended."""
        self.undone = 0
        """How often it was compensated: what it does outside afterwards is a new thing."""
        self.tolerated = 0
        """How many failures that were tolerated it stands for: its own, its hooks', those of its child run."""
        self.order = 0
        """Position among the run's steps in the order in which they ended."""
        self.values: Mapping[str, Any] | None = None
        self.demand: SlotRow | None = None
        """The slot that its claim will ask for."""
        self.slot: str | None = None
        """Key of which it has a slot, or, while its run has it in `queueing`, waits for one."""

    @property
    def settled(self) -> bool:
        """Whether it has ended."""
        return self.state in TERMINAL

    @property
    def worked(self) -> bool:
        """Whether it has done its work: also where that wasn't accepted."""
        return self.state == "completed" or (self.decided.gates is not None and "worked" in self.decided.gates)

    @property
    def satisfied(self) -> bool:
        """Whether its dependents may go on."""
        return is_satisfied(self.state, self.reason)


class Scope:
    """One instance of a list of steps."""

    __slots__ = (
        "active", "bindings", "body", "closed", "exact", "failure", "halted", "held", "label", "limit", "nodes", "open",
        "owner", "prefix", "previous", "program", "saga", "stage", "unread", "waiting",
    )  # fmt: skip

    def __init__(self, owner: Node, program: ScopeProgram, prefix: str, *, body: str, label: str = "") -> None:
        """Make a scope whose steps all wait."""
        self.owner = owner
        self.program = program
        self.prefix = prefix
        self.body = body
        self.label = label
        self.stage = "body"
        self.exact: str | None = None
        """Address of the only step, where it isn't prefix + id."""
        self.bindings: Mapping[str, Any] | None = None
        self.waiting = list(program.order.waiting)
        self.nodes: dict[int, Node | StepRow] = {}
        """What was reached, by number: where a step had ended when it was read, its row."""
        self.unread: dict[int, Callable[[Node], None]] | None = None
        """What opens the bodies of those of them that are containers."""
        self.open = program.order.size
        self.active = 0
        self.failure: Failure | None = None
        self.halted: str | None = None
        self.closed = False
        self.previous: Scope | None = None
        self.limit: int | None = None
        self.held: deque[int] | None = None
        """Steps that are ready and wait for the scope's own limit."""
        self.saga: Node | None = None
        """Of a compensation: the saga that it belongs to."""

    def address(self, member: int) -> str:
        """Return the address of one of its steps."""
        return self.exact or self.prefix + self.program.segments[member]

    def at(self, member: int) -> Node | None:
        """Return one of its steps; None: it wasn't reached."""
        found = self.nodes.get(member)
        return found if found is None or isinstance(found, Node) else self._revive(member)

    def reached(self) -> list[Node]:
        """Return all of its steps that were reached."""
        return [
            found if isinstance(found, Node) else self._revive(member) for member, found in list(self.nodes.items())
        ]

    def unsettled(self) -> list[Node]:
        """Return those that are in progress."""
        return [found for found in self.nodes.values() if isinstance(found, Node) and not found.settled]

    def holders(self) -> list[Node]:
        """Return those that may hold others."""
        for member in list(self.unread or ()):
            self.at(member)
        return [found for found in self.nodes.values() if isinstance(found, Node) and found.scopes]

    def leave(self, member: int, row: StepRow, opens: Callable[[Node], None]) -> None:
        """Leave a container that was over when it was read as its row, until somebody asks for it."""
        self.nodes[member] = row
        if self.unread is None:
            self.unread = {}
        self.unread[member] = opens

    def _revive(self, member: int) -> Node:
        """Make the node of a step that is a row. Others see it when its bodies are open."""
        with _READING:
            found = self.nodes[member]
            if isinstance(found, Node):
                return found
            node = read_node(self, member, found)
            opens = self.unread.get(member) if self.unread else None
            if opens is not None:
                opens(node)
            self.nodes[member] = node
            if self.unread:
                self.unread.pop(member, None)
            return node


def read_node(scope: Scope, member: int, row: StepRow) -> Node:
    """Return the node of a step as its row was read."""
    node = Node(scope, member, scope.program.member(member), row.n, row.address)
    node.state, node.reason, node.phase = row.state, row.reason, row.phase
    node.attempt, node.tries, node.entry, node.crashes = row.attempt, row.tries, row.entry, row.crashes
    node.task, node.started, node.ended, node.order = row.task, row.started_at, row.ended_at, row.ended_order
    if row.error:
        node.failure = Failure.from_data(decode(row.error))
    if row.memo:
        node.decided = decided_of(row.memo)
        node.undone, node.tolerated = node.decided.undone, node.decided.tolerated or 0
        if node.decided.reducing and node.phase in {None, "run"} and not node.settled:
            node.entered = "reducing"
    if row.state == "completed" or row.reason == "entry_point" or node.entered == "reducing":
        node.result = row.result  # else an earlier attempt of its container left it
        if row.result == b"null" and node.program.container is not None and node.decided.early is None:
            node.result = None  # so did it leave this: what it holds gives its result
    return node


def stopping(node: Node) -> str | None:
    """Return why a step may only end, and neither wait nor begin anything; None: it may."""
    if node.halting is None and not is_stopped(node):
        return None
    return node.halting or (node.scope.halted if node.scope else None) or "run_canceled"


def is_stopped(node: Node) -> bool:
    """Tell whether its scope was stopped in a way that interrupts what runs in it."""
    scope = node.scope
    if scope is None or scope.halted is None:
        return False
    return scope.halted != "sibling_failed" or scope.program.holder.siblings == "cancel"
