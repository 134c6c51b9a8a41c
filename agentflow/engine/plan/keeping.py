"""What a retry keeps of the run before it: filled in as the new run comes to it, at every depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agentflow.data import decode
from agentflow.engine.counts import tolerated_by
from agentflow.engine.decided import Decided, decided_of
from agentflow.engine.plan import steps
from agentflow.engine.plan.carried import Seeds
from agentflow.engine.plan.frame import NodeFrame
from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.state import RunState
from agentflow.errors import Failure
from agentflow.steps.containers import Opening
from agentflow.store.common import INSIDE
from agentflow.store.rows import TERMINAL, StepRow

Open = Callable[..., Scope]
"""Opens a body of a container: what is inside a kept one is filled in at once."""


def adopt(run: RunState, rows: Iterable[StepRow], *, stored: bool = False) -> None:
    """Take the rows of what is kept, which the run hasn't come to yet; their numbers are theirs from now on."""
    run.seeds = Seeds(rows, stored=stored)
    for row in run.seeds.rows.values():
        run.past[row.address] = Node(None, 0, run.program.root, row.n, row.address)
        run.next_n = max(run.next_n, row.n + 1)
        run.order = max(run.order, row.ended_order)


def store(run: RunState) -> None:
    """Write what the run hasn't come to in the transition that has begun it."""
    if run.seeds is not None:
        run.changes().steps.extend(row._replace(run=run.key) for row in run.seeds.rows.values())
        run.seeds.stored = True


def taken(run: RunState, address: str) -> StepRow | None:
    """Return the row that is kept of a step which the run comes to now."""
    return run.seeds.rows.pop(address, None) if run.seeds is not None else None


def decided(row: StepRow) -> Decided:
    """Return what of a container's decisions goes for a new run too: its own, and its early end."""
    known = decided_of(row.memo)
    return Decided(own=known.own, early=known.early)


def drop(run: RunState, node: Node) -> None:
    """Forget what is kept inside a container: all of it runs again."""
    if run.seeds is None:
        return
    inside = tuple(f"{node.address}{sign}" for sign in INSIDE)
    for address in [address for address in run.seeds.rows if address.startswith(inside)]:
        old = run.seeds.rows.pop(address)
        run.changes().steps.append(StepRow(run.key, old.n, address, "submitted", memo=b"", result=b"null"))


def fill(run: RunState, scope: Scope, open_body: Open) -> None:
    """Fill in the kept steps of a scope that has just been opened."""
    if run.seeds is None or not run.seeds.rows:
        return
    for member in range(scope.program.order.size):
        row = run.seeds.rows.get(scope.address(member))
        if row is not None and row.state in TERMINAL:
            del run.seeds.rows[row.address]
            if member not in scope.nodes:
                _keep(run, run.begin_node(scope, member), row, open_body)


def _keep(run: RunState, node: Node, row: StepRow, open_body: Open) -> None:
    node.state, node.reason, node.result = row.state, row.reason, row.result
    node.started, node.ended, node.order = row.started_at, row.ended_at, row.ended_order
    node.failure = Failure.from_data(decode(row.error)) if row.error else None
    container = node.program.container
    if container is not None:
        node.decided = decided(row)
    run.tolerate(node, tolerated_by(row))
    run.save(node, memo=True, result=True)
    run.emit("step_kept", node.address, {"run_id": getattr(run.row, "retry_of", None)})
    if container is not None and node.state == "completed":
        for opening in _bodies(run, node):
            scope = open_body(run, node, opening, start=False)
            fill(run, scope, open_body)
            scope.closed = True
    steps.close(run, node)


def _bodies(run: RunState, node: Node) -> Iterable[Opening]:
    """Return all bodies that a container which is done had opened."""
    container, frame = node.program.container, NodeFrame(run, node)
    labels = [f"[{number}]" for number in range(len(frame.memo.get("items", ())))]
    return container.restore(frame, labels) if container is not None else ()
