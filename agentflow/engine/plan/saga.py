"""Sagas: undoing completed steps in reverse order, inner scopes first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agentflow.data import is_array
from agentflow.engine.decided import Ending, Undoing, Undone
from agentflow.engine.plan.nodes import UNDONE, Node, Scope
from agentflow.engine.plan.state import RunState


def begin(run: RunState, node: Node) -> None:
    """List what has to be undone, once, and undo the first."""
    if node.decided.undoing is None:
        undo = [done.address for scope in _bodies(node) for done in completed(scope)]
        node.decided = node.decided._replace(undoing=Undoing(tuple(undo)))
        run.save(node, memo=True)
        if undo:
            run.emit("compensating", node.address, {"steps": undo})
    _next(run, node)


def _bodies(node: Node) -> list[Scope]:
    return [scope for scope in reversed(list((node.scopes or {}).values())) if scope.stage == "body"]


def completed(scope: Scope) -> Iterator[Node]:
    """Yield what a scope has done and can be undone, last first, what is inside a step before the step."""
    for node in sorted(scope.reached(), key=lambda n: n.order, reverse=True):
        if not node.worked and not node.scopes:
            continue
        for inner in _bodies(node):
            yield from completed(inner)
        if node.worked and node.program.compensation is not None and node.reason not in UNDONE:
            yield node


def _next(run: RunState, node: Node) -> None:
    undoing = node.decided.undoing or Undoing(())
    pending = undoing.steps
    if not pending or run.forced:
        _report(run, node, undoing)
        return
    target = find(node, pending[0])
    if target is None or target.program.compensation is None:
        node.decided = node.decided._replace(undoing=replace(undoing, steps=pending[1:]))
        _next(run, node)
        return
    run.tree.push("start_scope", run, open_compensation(run, node, target))


def open_compensation(run: RunState, saga: Node, target: Node) -> Scope:
    """Open the scope that undoes one step."""
    program = target.program.compensation
    if program is None:
        raise TypeError(f"{target.address} has no compensation")
    scope = Scope(target, program, f"{target.address}#compensate/", body="#compensate")
    scope.stage = "compensate"
    scope.saga = saga
    if program.single:
        scope.exact = f"{target.address}#compensate"
    scopes = target.scopes if target.scopes is not None else {}
    target.scopes = scopes
    scopes["#compensate"] = scope
    return scope


def find(saga: Node, address: str) -> Node | None:
    """Return a step inside a saga by its address."""
    stack = [saga]
    while stack:
        node = stack.pop()
        for scope in (node.scopes or {}).values():
            number = next((n for n in scope.nodes if scope.address(n) == address), None)
            if number is not None:
                return scope.at(number)
            stack.extend(scope.holders())
    return None


def compensated(run: RunState, scope: Scope) -> None:
    """One step has been undone, or its undoing failed for good: go on with the next."""
    target, saga = scope.owner, scope.saga
    if saga is None:
        return
    target.reason = "compensated" if scope.failure is None and scope.halted is None else "compensation_failed"
    run.save(target)
    undoing = saga.decided.undoing or Undoing(())
    entry = Undone(target.address, target.reason, scope.failure.told if scope.failure is not None else None)
    steps = tuple(address for address in undoing.steps if address != target.address)
    saga.decided = saga.decided._replace(undoing=Undoing(steps, (*undoing.report, entry)))
    run.save(saga, memo=True)
    _next(run, saga)


def _report(run: RunState, node: Node, undoing: Undoing) -> None:
    ending = node.decided.ending or Ending("failed")
    ending = replace(ending, stages=tuple(stage for stage in ending.stages if stage != "compensate"))
    failed = any(entry.reason == "compensation_failed" for entry in undoing.report)
    if undoing.report:
        node.reason = "compensation_failed" if failed else "compensated"
    if node.failure is not None:
        inner = node.failure.data.get("compensated")  # of a saga inside it, whose failure this is
        report = [*(inner if is_array(inner) else ()), *(entry.data for entry in undoing.report)]
        node.failure = replace(node.failure, data={**node.failure.data, "compensated": report})
        ending = replace(ending, failure=node.failure)
    node.decided = node.decided._replace(ending=ending)
    run.save(node, memo=True)
    run.tree.push("next_stage", run, node)
