"""Store-wide limits by key: asking for a slot, and giving it back."""

from __future__ import annotations

from heapq import heapify

from agentflow.data import encode
from agentflow.engine.marks import ROOT
from agentflow.engine.state import Node, RunState
from agentflow.engine.view import NodeView
from agentflow.errors import Failure, StepError
from agentflow.store.rows import added
from agentflow.store.slot_rows import SlotRow


def ask(run: RunState, node: Node) -> None:
    """Ask for a slot of a step's key; the commit of this transition says who gets it. It waits in `queueing`.

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
    node.slot = key
    node.state, node.phase = "working", None
    if node.entered is None:
        node.memo = {"stage": "due"}
    run.queueing[node.n] = node
    run.save(node, memo=True)
    change = run.changes()
    within = [(other.key, outer.n) for other, outer in around]
    change.slots = added(change.slots, SlotRow(node.n, key, limit.limit, within))


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
    what, hint = _hopeless(node.slot or "", node)
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


def withdraw(run: RunState) -> None:
    """Give back what steps have that don't execute, and hold them until the run goes on: nobody need wait for them.

    Containers that have begun and open waits keep their slots.
    """
    nodes = [*run.queueing.values(), *(node for _, node in run.ready if node.slot is not None)]
    if nodes:
        run.ready = [item for item in run.ready if item[1].slot is None]
        heapify(run.ready)
        for node in nodes:
            give_back(run, node)
        run.held = [*run.held, *nodes]
