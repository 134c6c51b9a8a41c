"""Which steps of a scope may start, and when a scope has ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from agentflow.definition.order import Order
from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.state import RunState
from agentflow.errors import Failure


def start_scope(run: RunState, scope: Scope) -> None:
    """Consider every step that waits for nothing."""
    waiting = scope.waiting
    for number in range(scope.program.order.size):
        if waiting[number] == 0 and number not in scope.nodes and _any_ready(scope, number):
            run.tree.push("consider", run, scope, number)
    run.tree.checks[scope] = run


def satisfied(run: RunState, scope: Scope, member: int) -> None:
    """A step (or barrier) has been completed or skipped: consider those that waited for it."""
    waiting = scope.waiting
    size = scope.program.order.size
    for number in scope.program.order.successors[member]:
        waiting[number] -= 1
        if waiting[number] == 0:
            if number >= size:
                satisfied(run, scope, number)
            elif _any_ready(scope, number):
                run.tree.push("consider", run, scope, number)


def settled(run: RunState, scope: Scope, node: Node) -> None:
    """A step has ended, in whatever way."""
    if node.satisfied:
        satisfied(run, scope, node.member)
    for number in scope.program.order.any_successors[node.member]:
        if scope.waiting[number] == 0 and number not in scope.nodes and _any_ready(scope, number):
            run.tree.push("consider", run, scope, number)
    held = scope.held
    while held and (scope.limit is None or scope.active < scope.limit):
        run.tree.push("consider", run, scope, held.popleft())
        if scope.limit is not None:
            break
    run.tree.checks[scope] = run


def _any_ready(scope: Scope, number: int) -> bool:
    """Tell whether `depends_on_any` is met: one completed, or all ended and one of them skipped."""
    group = scope.program.order.any_of[number]
    if not group:
        return True
    skipped = False
    for member in group:
        node = scope.at(member)
        if node is None or not node.settled:
            return any(_completed(scope, other) for other in group)
        if node.state == "completed":
            return True
        skipped = skipped or node.satisfied
    return skipped


def startable(scope: Scope) -> bool:
    """Tell whether a step of a scope could start that wasn't reached yet. A failure may keep all of them from it."""
    if scope.failure is None:
        return True
    numbers = range(scope.program.order.size)
    return any(scope.waiting[n] == 0 and n not in scope.nodes and _any_ready(scope, n) for n in numbers)


def _completed(scope: Scope, member: int) -> bool:
    node = scope.at(member)
    return node is not None and node.state == "completed"


def consider(run: RunState, scope: Scope, member: int) -> None:
    """Reach a step whose dependencies are met."""
    if member in scope.nodes or scope.halted is not None or scope.closed:
        return
    if scope.limit is not None and scope.active >= scope.limit:
        if scope.held is None:
            scope.held = deque()
        scope.held.append(member)
        return
    node = run.begin_node(scope, member)
    run.tree.push("gate" if node.program.has_gate else "enter", run, node)


def check(run: RunState, scope: Scope) -> None:
    """Close a scope in which nothing is in progress any more."""
    if scope.closed or scope.active > 0:
        return
    scope.closed = True
    if scope.failure is None and scope.halted is None and scope.open > 0:
        scope.failure = _stuck(scope)
    run.tree.push("scope_closed", run, scope)


def _stuck(scope: Scope) -> Failure:
    """Name the steps that can't start and what each waits for."""
    names = [step.id for step in scope.program.steps]
    blocked: list[str] = []
    for number, name in enumerate(names):
        if number not in scope.nodes:
            wanted = scope.program.steps[number].depends_on_any or scope.program.steps[number].depends_on
            blocked.append(f'"{name}" waits for {", ".join(wanted) or "the steps above it"}')
    return Failure(
        "AF-RUN-STUCK",
        "nothing can go on: " + "; ".join(blocked[:5]),
        kind="invalid",
        retryable=False,
        data={"blocked": blocked[:100]},
    )


def reachable(order: Order, *starts: int) -> set[int]:
    """Return the steps that follow from some steps, these included; implicit edges count."""
    return {*starts, *following(order, starts)}


def following(order: Order, starts: Iterable[int]) -> set[int]:
    """Return the steps that follow from some steps; one of these is among them if it follows from another."""
    seen: set[int] = set()
    stack = list(starts)
    while stack:
        number = stack.pop()
        followers = order.successors[number]
        if number < order.size:
            followers = (*followers, *order.any_successors[number])
        for other in followers:
            if other not in seen:
                seen.add(other)
                stack.append(other)
    return {number for number in seen if number < order.size}
