"""Steps of a container's bodies that run anew, or are let go: what is left of them."""

from __future__ import annotations

from agentflow.engine.decided import UNDECIDED, encoded
from agentflow.engine.plan.carried import UNREAD
from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.state import RunState
from agentflow.store.rows import StepRow

KEEPS_LAST = frozenset({"while", "until"})
"""Containers whose result is the last iteration's: older ones are let go."""


def forget(run: RunState, scope: Scope) -> None:
    """Reset the steps of a scope that is opened anew; their rows keep only what numbers them."""
    for node in scope.reached():
        if node.program.spec.name in KEEPS_LAST:
            forget_past(run, node)
        for inner in (node.scopes or {}).values():
            forget(run, inner)
        run.past[node.address] = node
        node.undone += node.reason == "compensated"
        _reset(run, node)


def forget_past(run: RunState, node: Node) -> None:
    """Reset the steps inside a container that are in memory no more: of older iterations, of compensations."""
    _recall(node)
    inside = tuple(f"{node.address}{sign}" for sign in "/[#")
    for address, old in list(run.past.items()):  # a step in a thread may read what belongs here
        if old.settled and address.startswith(inside):
            _reset(run, old)
            old.state = "submitted"


def _recall(node: Node) -> None:
    """Read what is inside of a step: of containers that were over when it was read, only rows are in memory."""
    for scope in (node.scopes or {}).values():
        for inner in scope.reached():
            _recall(inner)


def _reset(run: RunState, node: Node) -> None:
    run.tolerate(node, -node.tolerated)
    answered = run.last_response is not None and run.last_response.n == node.n
    run.changes().steps.append(
        StepRow(
            run.key, node.n, node.address, "submitted", attempt=node.attempt, entry=node.entry, crashes=node.crashes,
            memo=encoded(UNDECIDED, node.undone),
            result=None if answered else b"null",  # the last answer stays readable, whatever became of its step
        )
    )  # fmt: skip


def kept(node: Node) -> bool:
    """Tell whether all iterations of a loop are kept: a saga around it may have to undo them."""
    scope = node.scope
    while scope is not None and scope.owner.program.spec.name != "saga":
        scope = scope.owner.scope
    return scope is not None and node.program.undoable


def remember(run: RunState, node: Node, scope: Scope) -> None:
    """Keep the numbers of the steps of an iteration that is let go, if they may come again."""
    outer: Node | None = node
    while outer is not None:
        program = outer.program
        if program.retry is not None or program.on_error in {"retry", "suspend"} or program.spec.name == "poll":
            break
        outer = outer.scope.owner if outer.scope is not None else None
    if outer is None:
        return
    stack = [scope]
    while stack:
        for old in stack.pop().reached():
            stack.extend((old.scopes or {}).values())
            old.scopes = old.result = old.failure = old.scope = None
            old.value, old.decided = UNREAD, UNDECIDED
            run.past[old.address] = old
