"""Rebuilds runs in memory from their rows: after a takeover, an answer, a timer, and in always-replay mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agentflow.data import decode
from agentflow.engine.decided import decided_of
from agentflow.engine.host.placing import Placing
from agentflow.engine.plan import budgeting, keeping, order, shared
from agentflow.engine.plan.budget_state import stopped
from agentflow.engine.plan.carried import Folded, Response
from agentflow.engine.plan.environment import Environment, Lease
from agentflow.engine.plan.nodes import UNDONE, Node, Scope, is_stopped
from agentflow.engine.plan.spending import Spending
from agentflow.engine.plan.state import RunState, Tree
from agentflow.engine.plan.turns import STOPPED
from agentflow.engine.program import Program
from agentflow.steps.unset import UNSET
from agentflow.store.loaded import LoadedRun, LoadedTree
from agentflow.usage import usage_of

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
    if loaded.usage:
        tree.spending = Spending(loaded.usage)
        for item in loaded.runs:
            if item.row.usage is not None:
                tree.runs[item.row.run].used = usage_of(decode(item.row.usage))
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
        if run.queueing:  # since it came to that, nobody may have looked whether only waits are left
            tree.touched[run.key] = run
    if tree.treasury is not None:
        budgeting.look_around(tree, tree.treasury)
    return tree


class _Restorer:
    """Rebuilds one run."""

    def __init__(self, run: RunState, loaded: LoadedRun, executing: Mapping[tuple[int, int], Lease | None]) -> None:
        self.run = run
        self.loaded = loaded
        self.executing = executing
        self.placing = Placing(run)
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
        rows = [row for row in self.loaded.steps if row.phase != "kept"]
        if len(rows) < len(self.loaded.steps):
            keeping.adopt(run, [row for row in self.loaded.steps if row.phase == "kept"], stored=True)
        for item in rows:  # what can't be read is told of now, and not in the middle of a decision
            if item.memo is not None:
                decided_of(item.memo)
            if item.error is not None:
                decode(item.error)
        run.next_n = max([run.next_n, *[item.n + 1 for item in rows]])
        run.order = max([item.ended_order for item in self.loaded.steps], default=0)
        run.root.phase = "scope"
        run.cancel = run.root.decided.canceling
        if run.cancel is not None:
            run.root.halting = run.cancel.reason or "run_canceled"
        self.placing.place(run.root, rows)
        self._stop()
        if not run.ended:
            self._resume()

    def _stop(self) -> None:
        """Let the run end as failed that an operator has stopped at its budget."""
        failure = stopped(self.run)
        body = (self.run.root.scopes or {}).get("steps") if failure is not None else None
        if body is not None:
            body.failure, body.halted = body.failure or failure, body.halted or "sibling_failed"

    def _resume(self) -> None:
        """Push what can go on: open scopes, interrupted steps, containers between two moves."""
        run = self.run
        still: list[Scope] = []
        for scope in [scope for scope in self.placing.all if not scope.closed]:
            owner = scope.owner
            ending = owner.decided.ending
            over = owner.settled if scope.stage != "compensate" else owner.reason in UNDONE
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
        slot = self.slots.get(node.n)
        node.slot = slot.key if slot is not None else None
        parked = node.decided.parked
        arrived = parked.arrived if parked is not None else UNSET
        node.arrived = None if arrived is UNSET else arrived
        if node.phase == "run":
            run.running += 1
            node.halting = STOPPED if node.decided.stopping is not None else None
            if (run.key, node.n) in self.executing:
                node.lease = self.executing[run.key, node.n]
            elif tree.env.hands_out and node.decided.handed and not node.decided.reducing:
                if node.scope is not None and is_stopped(node):
                    node.halting = node.halting or node.scope.halted
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
                node.entered = "crash" if arrived is UNSET or node.decided.unbegun else "park"
            if slot is not None and not slot.held and (node.scope is None or node.scope.halted is None):
                run.queueing[node.n] = node
            else:
                tree.push("requeue", run, node)

    def _resume_container(self, node: Node) -> None:
        scopes = list((node.scopes or {}).values())
        if node.decided.ending is not None:
            undoing = any(scope.saga is node and not scope.closed for scope in self.placing.all)
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
