"""Store-wide limits by key: asking for a slot, and giving it back."""

from __future__ import annotations

from heapq import heapify

from agentflow.data import encode
from agentflow.engine.decided import DUE, decided_of, lasting
from agentflow.engine.plan.marks import ROOT
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.engine.plan.view import NodeView
from agentflow.errors import Failure, StepError
from agentflow.store.rows import StepRow, added
from agentflow.store.slot_rows import SlotRow


def demand(run: RunState, node: Node) -> SlotRow:
    """Return the slot that a step needs.

    Raises:
        StepError: its key has no value, or it can never be given to it.
    """
    compiled, limit = node.program.concurrency, node.program.step.concurrency
    if compiled is None or limit is None:
        raise TypeError(f"{node.address} has no key")
    value = compiled.render(NodeView(run, node.scope, node.values))
    if value is None or value == "":
        raise StepError("its concurrency key is empty", code="AF-FIELD-VALUE", kind="invalid", retryable=False)
    key = value if isinstance(value, str) else encode(value).decode()
    around = _around(run, node)
    if sum(outer.slot == key for _, outer in around) >= limit.limit:
        what, hint = _hopeless(key, node)
        raise StepError(what, code="AF-SLOT-DEADLOCK", kind="invalid", retryable=False, hint=hint)
    return SlotRow(node.n, key, limit.limit, [(other.key, outer.n) for other, outer in around])


def ask(run: RunState, node: Node, wanted: SlotRow) -> None:
    """Ask for a slot without which a step can't begin: it waits in `queueing` until a commit has given it one."""
    _wait(run, node, wanted)
    run.queueing[node.n] = node
    run.save(node, memo=True)


def ask_with_claim(run: RunState, node: Node, wanted: SlotRow) -> None:
    """Ask for the slot that a leaf needs in the transition that claims it, which is about to be done."""
    node.demand = None
    _wait(run, node, wanted)
    run.save(node, memo=True)
    change = run.changes()
    change.unclaimed = added(change.unclaimed, change.steps.pop())  # for the store to take, if no slot is free


def _wait(run: RunState, node: Node, wanted: SlotRow) -> None:
    node.slot = wanted.key
    node.state, node.phase = "working", None
    if node.entered is None:
        node.decided = lasting(node.decided)._replace(stage="due") if node.program.gated else DUE
    change = run.changes()
    change.slots = added(change.slots, wanted)


def unclaim(run: RunState, row: StepRow) -> None:
    """No slot was free for a step that was to be claimed: the commit has stored this row of it, and it waits."""
    node = run.live[row.n]
    node.state, node.phase, node.attempt, node.tries, node.started = (
        row.state, row.phase, row.attempt, row.tries, row.started_at
    )  # fmt: skip
    node.decided = decided_of(row.memo)
    run.running -= 1
    run.queueing[node.n] = node


def _around(run: RunState, node: Node) -> list[tuple[RunState, Node]]:
    """Return the steps around one that hold slots, those of the runs above included."""
    found: list[tuple[RunState, Node]] = []
    current, inner = run, node
    while True:
        owner = inner.scope.owner if inner.scope is not None else None
        if owner is None or owner.n == ROOT:
            above, owner = current.parent_run, current.parent
            if above is None or owner is None:
                return found
            current = above
        if owner.slot is not None:
            found.append((current, owner))
        inner = owner


def _hopeless(key: str, node: Node) -> tuple[str, str]:
    what = f'step "{node.address}" would wait for "{key}" for ever: who holds it can\'t end before this step does'
    return what, "give the inner step another key, or none; let all steps ask for several keys in the same order"


def deadlock(node: Node) -> Failure:
    """Return the failure of a step that the store has refused a place in a queue."""
    what, hint = _hopeless(node.demand.key if node.demand is not None else node.slot or "", node)
    return Failure("AF-SLOT-DEADLOCK", what, kind="exception", hint=hint)


def give_back(run: RunState, node: Node) -> None:
    """Give a step's slot back, or its place in the queue."""
    if node.slot is None:
        return
    node.slot = None
    run.queueing.pop(node.n, None)
    change = run.changes()
    change.free = added(change.free, node.n)
    change.slots = [row for row in change.slots if row.n != node.n]


def give_up(run: RunState, node: Node) -> None:
    """Take a step out of what waits for slots, also where it was read anew and is about to ask once more."""
    give_back(run, node)
    if node.demand is not None:
        node.demand = None
        run.ready = [item for item in run.ready if item[1] is not node]
        heapify(run.ready)


def withdraw(run: RunState) -> None:
    """Give back what steps have that don't execute, and hold them until the run goes on: nobody need wait for them.

    Containers that have begun, open waits and steps that wait for their reducers keep their slots.
    """
    nodes = [*run.queueing.values(), *(node for _, node in run.ready if _returns(node))]
    if nodes:
        run.ready = [item for item in run.ready if not _returns(item[1])]
        heapify(run.ready)
        for node in nodes:
            give_back(run, node)
        run.held = [*run.held, *nodes]


def _returns(node: Node) -> bool:
    return node.slot is not None and node.entered != "reducing"
