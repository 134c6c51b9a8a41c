"""Rebuilds runs in memory from their rows: after a takeover, an answer, a timer, and in always-replay mode.

The address of a row says where it belongs (`box/child`, `fetch[3]/get`, `pay#compensate`). A parent's address is always
shorter than its children's, so rows are placed by length; containers reopen their bodies before their children come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from agentflow.engine.plan import containers, forgetting, keeping, order, saga, shared
from agentflow.engine.plan.carried import Folded, Response
from agentflow.engine.plan.decided import decided_of
from agentflow.engine.plan.environment import Environment, Lease
from agentflow.engine.plan.frame import NodeFrame
from agentflow.engine.plan.nodes import is_satisfied, read_node
from agentflow.engine.plan.state import Node, RunState, Scope, Tree
from agentflow.engine.plan.view import NodeView
from agentflow.engine.program import Program
from agentflow.errors import Failure
from agentflow.steps.containers import Opening
from agentflow.steps.contract import UNSET
from agentflow.store.loaded import LoadedRun, LoadedTree
from agentflow.store.rows import (
    TERMINAL,
    StepRow,
)

_DONE = frozenset({"completed", "canceled"})
"""States of steps whose rows are enough."""


def restore(
    env: Environment,
    loaded: LoadedTree,
    programs: Callable[[str], Program],
    executing: Mapping[tuple[int, int], Lease | None] | None = None,
    folded: Mapping[int, Folded] | None = None,
) -> Tree:
    """Rebuild a tree.

    Args:
        env: what the planner may ask.
        loaded: the tree's rows.
        programs: returns the program of a definition by its hash.
        executing: (run, step number) of steps that this process has claimed → the lease of the worker that has begun.
        folded: what reducers of the user's have made of runs' stored updates.
    """
    tree = Tree(env, loaded.root, loaded.epoch)
    for item in loaded.runs:
        run = RunState(tree, item.row, item.row.run, programs(item.row.definition), None)
        tree.runs[run.key] = run
    for item in loaded.runs:
        run = tree.runs[item.row.run]
        parent = tree.runs.get(item.row.parent) if item.row.parent is not None else None
        if parent is not None:
            run.parent_run = parent
            parent.children[run.key] = run
    for item in loaded.runs:
        run = tree.runs[item.row.run]
        shared.refold(run, item.shared, (folded or {}).get(run.key))
        _Restorer(run, item, executing or {}).restore()
    for item in loaded.runs:
        run = tree.runs[item.row.run]
        if run.parent_run is not None and item.row.parent_step is not None:
            run.parent = run.parent_run.live.get(item.row.parent_step)
    return tree


class _Restorer:
    """Rebuilds one run."""

    def __init__(self, run: RunState, loaded: LoadedRun, executing: Mapping[tuple[int, int], Lease | None]) -> None:
        self.run = run
        self.loaded = loaded
        self.executing = executing
        self.scopes: dict[str, Scope] = {}
        """Open scopes by the prefix of their addresses."""
        self.exact: dict[str, Scope] = {}
        """Scopes of one step by the step's whole address."""
        self.all: list[Scope] = []
        self.entered: list[Node] = []
        """Containers, outer ones first."""
        self.labels: defaultdict[str, list[str]] = defaultdict(list)
        self.failed: set[Scope] = set()
        """Scopes in which a step has failed."""
        self.unnumbered = False
        """Whether an older version has ended steps without a number."""
        self.slots = {slot.n: slot for slot in loaded.slots}

    def restore(self) -> None:
        """Place every row, then work out what can go on."""
        run, row = self.run, self.loaded.row
        run.state = row.state
        run.paused = row.paused
        if row.last_response is not None:
            answered = [step.result for step in self.loaded.steps if step.n == row.last_response and step.result]
            run.last_response = Response(row.last_response, answered[0]) if answered else None
        run.tolerated = row.tolerated
        run.root.decided = decided_of(row.memo)
        if row.state == "submitted" or (row.epoch <= 1 and not self.loaded.steps and row.seq == 0):
            keeping.adopt(run, self.loaded.steps)
            run.tree.push("begin_run", run)
            return
        rows = sorted((row for row in self.loaded.steps if row.phase != "kept"), key=lambda r: len(r.address))
        if len(rows) < len(self.loaded.steps):
            keeping.adopt(run, [row for row in self.loaded.steps if row.phase == "kept"], stored=True)
        self._collect_labels(rows)
        self._root()
        run.next_n = max([run.next_n, *[item.n + 1 for item in rows]])
        run.order = max([item.ended_order for item in self.loaded.steps], default=0)
        for item in rows:
            self._place(item)
        for node in self.entered:  # their templates may look at any step
            self._values(node)
        if self.unnumbered:
            self._number()
        for scope in self.all:
            scope.open = scope.program.order.size - len(scope.nodes) + scope.active
            if scope.open or scope in self.failed:
                self._recount(scope)
            else:  # it is over, as are most: there is nothing to work out
                scope.closed = True
                scope.owner.closed += scope.stage == "body"
        if not run.ended:
            self._resume()

    def _collect_labels(self, rows: Sequence[StepRow]) -> None:
        labels = self.labels
        for address in [row.address for row in rows if row.state != "submitted" and "[" in row.address]:
            start = address.find("[")
            while start >= 0:
                end = address.find("]", start) + 1
                if address[start + 1 : end - 1].isdigit():
                    labels[address[:start]].append(address[start:end])
                start = address.find("[", start + 1)

    def _root(self) -> None:
        run = self.run
        root = run.root
        root.phase = "scope"
        run.cancel = root.decided.canceling
        if run.cancel is not None:
            root.halting = run.cancel.reason or "run_canceled"
        self._reopen(root)

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
        openings = container.restore(frame, self.labels.get(node.address, ()))
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
            if name in ending.stages[:1] or self._has_rows(node, name):
                self._register([containers.open_hook(self.run, node, name, hook, start=False)])

    def _has_rows(self, node: Node, hook: str) -> bool:
        prefix = f"{node.address}#{hook}/"
        return any(row.address.startswith(prefix) for row in self.loaded.steps)

    def _register(self, scopes: Sequence[Scope]) -> None:
        self.all += scopes
        for scope in scopes:
            if scope.exact is not None:
                self.exact[scope.exact] = scope
            else:
                self.scopes.setdefault(scope.prefix, scope)

    def _locate(self, address: str) -> tuple[Scope, int] | None:
        scope = self.exact.get(address)
        if scope is not None:
            return scope, 0
        head, slash, name = address.rpartition("/")
        scope = self.scopes.get(head + slash)
        if scope is None:
            return None
        number = scope.program.number_of(name)
        return None if number is None else (scope, number)

    def _place(self, row: StepRow) -> None:
        address = row.address
        if "#" in address and "#compensate" in address and row.state != "submitted":
            self._open_compensation(address)
        found = self._locate(address)
        if found is None or row.state == "submitted":
            self._pass(row, found)
            return
        scope, member = found
        if row.ended_order and row.state in _DONE and member not in scope.program.containers:
            scope.nodes[member] = row  # what depends on it needs no more
            return
        node = scope.nodes[member] = read_node(scope, member, row)
        if row.state == "failed":
            self.failed.add(scope)
        if row.state in TERMINAL:
            self.unnumbered = self.unnumbered or not row.ended_order
        else:
            scope.active += 1
            self.run.live[node.n] = node
            slot = self.slots.get(node.n)
            node.slot = slot.key if slot is not None else None
        if node.program.container is not None and (node.scopes is None):
            self.entered.append(node)
            self._reopen(node)

    def _pass(self, row: StepRow, found: tuple[Scope, int] | None) -> None:
        """Keep the numbers of a step of an earlier attempt of its container: they go on when it comes again."""
        program = found[0].program.member(found[1]) if found else self.run.program.root
        old = Node(None, 0, program, row.n, row.address)
        old.state, old.attempt, old.entry, old.crashes = row.state, row.attempt, row.entry, row.crashes
        kept = decided_of(row.memo)
        old.undone, old.tolerated = kept.undone, kept.tolerated or 0
        self.run.past[row.address] = old

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
        if scope.open:
            waiting = scope.waiting
            stack = [member for member, node in nodes.items() if is_satisfied(node.state, node.reason)]
            while stack:
                for number in edges.successors[stack.pop()]:
                    waiting[number] -= 1
                    if waiting[number] == 0 and number >= edges.size:
                        stack.append(number)
        failed = [node for node in nodes.values() if node.state == "failed" and isinstance(node, Node)]
        if failed:
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

    def _resume(self) -> None:
        """Push what can go on: open scopes, interrupted steps, containers between two moves."""
        run = self.run
        still: list[Scope] = []
        for scope in [scope for scope in self.all if not scope.closed]:
            owner = scope.owner
            ending = owner.decided.ending
            over = owner.settled if scope.stage != "compensate" else owner.reason is not None
            if scope.stage == "body" and (ending is not None or owner.phase in {"backoff", "wait"}):
                over = True
            if scope.stage not in {"body", "compensate"}:
                over = over or ending is None or scope.stage not in ending.stages[:1]
            if scope.active == 0 and (
                scope.open == 0 or over or scope.halted is not None or not order.startable(scope)
            ):
                scope.closed = True
                if scope.stage == "body":
                    owner.closed += 1
                    if not over and owner.halting is None and owner.decided.early is None:
                        owner.failure = owner.failure or scope.failure
            elif over:
                scope.closed = True
            else:
                still.append(scope)
        for scope in still:
            owner = scope.owner
            if scope.stage == "body" and owner.failure is not None and owner.program.siblings != "continue":
                scope.halted = scope.halted or "sibling_failed"
            run.tree.push("start_scope", run, scope)
        for node in list(run.live.values()):
            self._resume_node(node)
        self._resume_root()

    def _resume_root(self) -> None:
        root = self.run.root
        scopes = list((root.scopes or {}).values())
        if root.decided.ending is not None:
            if not any(not scope.closed for scope in scopes):
                self.run.tree.push("next_stage", self.run, root)
        elif all(scope.closed for scope in scopes):
            self._reclose(scopes)

    def _reclose(self, scopes: Sequence[Scope]) -> None:
        """Tell the container once more that its last scope has closed: the crash came before it could act on it."""
        for scope in scopes:
            if scope.stage == "body":
                scope.closed = False
                scope.owner.closed -= 1
                self.run.tree.checks[scope] = self.run

    def _resume_node(self, node: Node) -> None:
        run = self.run
        tree = run.tree
        parked = node.decided.parked
        arrived = parked.arrived if parked is not None else UNSET
        node.arrived = None if arrived is UNSET else arrived
        if node.phase == "run":
            run.running += 1
            if (run.key, node.n) in self.executing:
                node.lease = self.executing[run.key, node.n]
            elif tree.env.hands_out and node.decided.handed and not node.decided.reducing:
                tree.handed.append((run, node))
            else:
                tree.push("interrupted", run, node)
        elif node.phase in {"timer", "backoff"}:
            run.timing += 1
            node.due = float("inf")
        elif node.phase == "wait" and node.task is not None:
            run.waits[node.task] = node
        elif node.phase == "scope":
            self._resume_container(node)
        elif node.phase is None:
            if node.entered is None and node.decided.stage != "due":
                node.entered = "crash" if arrived is UNSET else "park"
            slot = self.slots.get(node.n)
            if slot is not None and not slot.held and (node.scope is None or node.scope.halted is None):
                run.queueing[node.n] = node
            else:
                tree.push("requeue", run, node)

    def _resume_container(self, node: Node) -> None:
        scopes = list((node.scopes or {}).values())
        if node.decided.ending is not None:
            undoing = any(scope.saga is node and not scope.closed for scope in self.all)
            if not undoing and all(scope.closed for scope in scopes):
                self.run.tree.push("next_stage", self.run, node)
        elif scopes and all(scope.closed for scope in scopes):
            last = [scope for scope in scopes if scope.stage == "body"][-1:]
            self._reclose(last)
        elif not scopes:
            self.run.tree.push("reenter_container", self.run, node)
        if node.halting is None and node.scope is not None and node.scope.halted is not None:
            gently = node.scope.halted == "sibling_failed" and node.scope.program.holder.siblings != "cancel"
            self.run.tree.push("halt_node", self.run, node, node.scope.halted, not gently)
