"""Puts the rows of a run where they belong, as its tree is rebuilt; what is over stays rows until somebody looks.

The address of a row says where it belongs (`box/child`, `fetch[3]/get`, `pay#compensate`). A parent's address is always
shorter than its children's, so rows are placed by length; containers reopen their bodies before their children come.
Of a container that is over in good order nothing is opened: the rows inside of it are put aside, and placed when its
step is asked for (`Scope.at`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

from agentflow.engine.decided import decided_of
from agentflow.engine.plan import containers, forgetting, saga
from agentflow.engine.plan.frame import NodeFrame
from agentflow.engine.plan.nodes import Node, Scope, is_satisfied, read_node
from agentflow.engine.plan.state import RunState
from agentflow.engine.plan.view import NodeView
from agentflow.errors import Failure
from agentflow.steps.containers import Opening
from agentflow.store.common import INSIDE
from agentflow.store.rows import TERMINAL, StepRow

_DONE = frozenset({"completed", "canceled"})
"""States of steps whose rows are enough."""

_INSIDE = re.compile(f"[{re.escape(INSIDE)}]")


class Placing:
    """Places rows of one run: all of them, or those inside of one step."""

    def __init__(self, run: RunState) -> None:
        """Begin with no rows."""
        self.run = run
        self.all: list[Scope] = []
        """The scopes that were opened."""
        self._scopes: dict[str, Scope] = {}
        """They by the prefix of their addresses."""
        self._exact: dict[str, Scope] = {}
        """Scopes of one step by the step's whole address."""
        self._entered: list[Node] = []
        """Containers, outer ones first."""
        self._labels: defaultdict[str, list[str]] = defaultdict(list)
        self._hooks: set[str] = set()
        """Prefixes of the addresses in hooks that have rows."""
        self._over = set[str]()
        """Addresses of steps that are over, and all inside of them is too."""
        self._aside: defaultdict[str, list[StepRow]] = defaultdict(list)
        """Rows inside of these, by the outermost."""
        self._failed: set[Scope] = set()
        """Scopes in which a step has failed."""
        self._unnumbered = False
        """Whether an older version has ended steps without a number."""

    def place(self, node: Node, rows: Sequence[StepRow]) -> None:
        """Place all rows inside of a step; those of a run are inside of its root."""
        lists = self._divide(rows)
        for prefix, members in lists.items():
            self._collect_labels(prefix, members)
        self._reopen(node)
        for prefix in sorted(lists, key=len):
            self._place_list(prefix, lists[prefix])
        for entered in self._entered:  # their templates may look at any step
            self._values(entered)
        if self._unnumbered:
            self._number()
        for scope in self.all:
            scope.open = scope.program.order.size - len(scope.nodes) + scope.active
            if scope.open or scope in self._failed:
                self._recount(scope)
            else:  # it is over, as are most: there is nothing to work out
                scope.closed = True
                scope.owner.closed += scope.stage == "body"

    def _divide(self, rows: Sequence[StepRow]) -> dict[str, list[StepRow]]:
        """Put aside what is inside of steps that are over; return the others by the prefix of their addresses."""
        over = self._over = {row.address for row in rows if row.ended_order and row.state in _DONE}
        going = [
            address
            for row in rows
            if "#" in (address := row.address) or (address not in over and row.state != "submitted")
        ]
        for address in going:
            over.discard(address)
            over.difference_update(_around(address))
            self._note_hooks(address)
        lists: defaultdict[str, list[StepRow]] = defaultdict(list)
        group, inside = lists[""], ("?",)
        own = group
        for row in rows:
            address = row.address
            if "/" not in address and "[" not in address:
                own.append(row)
            elif address.startswith(inside):  # as most are: they come one after the other
                group.append(row)
            else:
                head, slash, name = address.rpartition("/")
                prefix = head + slash
                known = prefix in lists and "[" not in name
                outer = None if known else self._outermost(address)
                if outer is None:
                    lists[prefix].append(row)
                    continue
                group, inside = self._aside[outer], (f"{outer}/", f"{outer}[")
                group.append(row)
        return lists

    def _outermost(self, address: str) -> str | None:
        """Return the outermost step around another one that is over."""
        over = self._over
        for cut in _INSIDE.finditer(address):
            if (outer := address[: cut.start()]) in over:
                return outer
        return None

    def _note_hooks(self, address: str) -> None:
        start = address.find("#")
        while start >= 0:
            end = address.find("/", start) + 1
            self._hooks.add(address[:end])
            start = address.find("#", start + 1)

    def _collect_labels(self, prefix: str, rows: Sequence[StepRow]) -> None:
        """Note which iterations of loops have rows."""
        start, begun = len(prefix), False
        for row in rows:
            if row.state != "submitted":
                begun = True
                if row.address.find("[", start) >= 0:
                    self._note_labels(row.address, start)
        if begun and "[" in prefix:
            self._note_labels(prefix, 0)

    def _note_labels(self, address: str, start: int) -> None:
        while (start := address.find("[", start)) >= 0:
            end = address.find("]", start) + 1
            if address[start + 1 : end - 1].isdigit():
                self._labels[address[:start]].append(address[start:end])
            start += 1

    def _reopen(self, node: Node) -> None:
        """Open the bodies, hooks and compensation scopes that were open."""
        container = node.program.container
        if container is None:
            return
        decided = node.decided
        if decided.stage is not None:  # its body is still to be opened
            return
        frame = NodeFrame(self.run, node)
        openings: Sequence[Opening]
        openings = container.restore(frame, self._labels.get(node.address, ()))
        if node.program.spec.name in forgetting.KEEPS_LAST and not forgetting.kept(node):
            openings = openings[-2:]
        node.opened = 0
        if node.program.spec.name in forgetting.KEEPS_LAST:
            self._register([containers.open_body(self.run, node, each, start=False) for each in openings])
        else:
            self._register(containers.reopen(node, openings))
        ending = decided.ending
        node.failure = (ending.failure if ending is not None else None) or decided.late or node.failure
        if ending is None:
            return
        node.halting = ending.halting or node.halting
        for name, hook in node.program.hooks.items():
            if name in ending.stages[:1] or f"{node.address}#{name}/" in self._hooks:
                self._register([containers.open_hook(self.run, node, name, hook, start=False)])

    def _register(self, scopes: Sequence[Scope]) -> None:
        self.all += scopes
        for scope in scopes:
            if scope.exact is not None:
                self._exact[scope.exact] = scope
            else:
                self._scopes.setdefault(scope.prefix, scope)

    def _locate(self, address: str) -> tuple[Scope, int] | None:
        scope = self._exact.get(address)
        if scope is not None:
            return scope, 0
        head, slash, name = address.rpartition("/")
        scope = self._scopes.get(head + slash)
        if scope is None:
            return None
        number = scope.program.number_of(name)
        return None if number is None else (scope, number)

    def _place_list(self, prefix: str, rows: Sequence[StepRow]) -> None:
        """Place the steps of one list: there may be very many, and of most that are over the row is enough."""
        scope = self._scopes.get(prefix)
        if scope is not None:
            index, nodes, holding = scope.program.index, scope.nodes, scope.program.containers
            start, over = len(prefix), self._over
            others: list[StepRow] = []
            for row in rows:
                address = row.address
                member = index.get(address[start:])
                if member is not None and member not in holding and address in over:
                    nodes[member] = row
                else:
                    others.append(row)
            rows = others
        for row in sorted(rows, key=lambda row: len(row.address)) if rows else ():
            self._place(row)

    def _place(self, row: StepRow) -> None:
        address = row.address
        if "#" in address and "#compensate" in address and row.state != "submitted":
            self._open_compensation(address)
        found = self._locate(address)
        if found is None or row.state == "submitted":
            self._pass(row, found)
            return
        scope, member = found
        if row.ended_order and row.state in _DONE:
            if member not in scope.program.containers:
                scope.nodes[member] = row  # what depends on it needs no more
                return
            if address in self._over:
                scope.leave(member, row, partial(_look_inside, self.run, self._aside.get(address, ())))
                return
        node = scope.nodes[member] = read_node(scope, member, row)
        if row.state == "failed":
            self._failed.add(scope)
        if row.state in TERMINAL:
            self._unnumbered = self._unnumbered or not row.ended_order
        else:
            scope.active += 1
            self.run.live[node.n] = node
        if node.program.container is not None and (node.scopes is None):
            self._entered.append(node)
            self._reopen(node)

    def _pass(self, row: StepRow, found: tuple[Scope, int] | None) -> None:
        """Keep the numbers of a step of an earlier attempt of its container: they go on when it comes again."""
        program = found[0].program.member(found[1]) if found else self.run.program.root
        old = Node(None, 0, program, row.n, row.address)
        old.state, old.attempt, old.entry, old.crashes = row.state, row.attempt, row.entry, row.crashes
        kept = decided_of(row.memo)
        old.undone, old.tolerated = kept.undone, kept.tolerated or 0
        self.run.past[row.address] = old
        for inner in self._aside.pop(row.address, ()):
            self._pass(inner, None)

    def _values(self, node: Node) -> None:
        """Compute the step's `with` again: it is never stored."""
        program = node.program
        if program.with_ is not None and node.phase in {"scope", "timer"} and node.decided.stage != "delay":
            node.values = program.with_.render(NodeView(self.run, node.scope))

    def _open_compensation(self, address: str) -> None:
        target_address = address[: address.index("#compensate")]
        located = self._locate(target_address)
        target = located[0].at(located[1]) if located else None
        if target is None or (target.scopes and "#compensate" in target.scopes):
            return
        saga_node = self._saga_of(target)
        if saga_node is not None and target.program.compensation is not None:
            self._register([saga.open_compensation(self.run, saga_node, target)])

    def _saga_of(self, node: Node) -> Node | None:
        scope = node.scope
        while scope is not None:
            owner = scope.owner
            undoing = owner.decided.undoing
            if owner.program.spec.name == "saga" and undoing is not None and node.address in undoing.steps:
                return owner
            scope = owner.scope
        return None

    def _number(self) -> None:
        """Number the steps that older versions have ended without a number: they come first, by their times."""
        nodes = [node for scope in self.all for node in scope.reached() if node.settled and not node.order]
        for position, node in enumerate(sorted(nodes, key=lambda n: (n.ended or 0.0, n.n)), -len(nodes)):
            node.order = position

    def _recount(self, scope: Scope) -> None:
        """Work out from its steps what a scope waits for."""
        edges, nodes = scope.program.order, scope.nodes
        if len(nodes) < edges.size:
            waiting = scope.waiting
            stack = [member for member, node in nodes.items() if is_satisfied(node.state, node.reason)]
            while stack:
                for number in edges.successors[stack.pop()]:
                    waiting[number] -= 1
                    if waiting[number] == 0 and number >= edges.size:
                        stack.append(number)
        if scope in self._failed:
            failed = [node for node in nodes.values() if isinstance(node, Node) and node.state == "failed"]
            first = min(failed, key=lambda n: n.order)
            scope.failure = first.failure or Failure("AF-STEP-FAILED", "the step failed")
            if scope.program.holder.siblings != "continue":
                scope.halted = "sibling_failed"
            failures = [n.failure for n in failed if n.failure is not None and not n.scopes]
            self.run.failures = [*self.run.failures, *failures]
        owner = scope.owner
        if scope.stage == "body":
            if owner.halting is not None:
                scope.halted = scope.halted or owner.halting
            elif owner.decided.early is not None:
                scope.halted = scope.halted or "ended"
            elif owner.decided.late is not None:
                scope.halted = "timeout"


def _around(address: str) -> Iterator[str]:
    """Yield the addresses of what may be around a step, outermost first."""
    for cut in _INSIDE.finditer(address):
        yield address[: cut.start()]


def _look_inside(run: RunState, rows: Sequence[StepRow], node: Node) -> None:
    """Open the bodies of a container that was over when it was read."""
    placing = Placing(run)
    placing.place(node, rows)
    for scope in placing.all:
        if not scope.closed:  # not all of its steps were reached
            scope.closed = True
            node.closed += scope.owner is node and scope.stage == "body"
