"""Carries out the planner's operations until nothing is left to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentflow.engine.plan import (
    approving,
    budgeting,
    calling,
    containers,
    faults,
    halting,
    interrupting,
    keeping,
    order,
    recovery,
    reviewing,
    runs,
    steps,
    waiting,
)
from agentflow.engine.plan.environment import OutOfKeys
from agentflow.engine.plan.state import Tree

OPERATIONS: dict[str, Callable[..., None]] = {
    "again": waiting.again,
    "approval_answered": approving.answered,
    "approve": approving.consider,
    "begin_container": containers.begin,
    "begin_run": runs.begin_run,
    "body_done": containers.body_done,
    "budget_answered": budgeting.answered,
    "call_answered": calling.answered,
    "cancel_run": runs.cancel_run,
    "child_ended": runs.child_ended,
    "consider": order.consider,
    "container_fired": containers.fired,
    "end_early": runs.end_early,
    "end_run": runs.end_run,
    "enter": steps.enter,
    "gate": steps.gate,
    "go_on": steps.go_on,
    "halt_child": runs.halt_child,
    "halt_node": halting.halt_node,
    "next_stage": containers.next_stage,
    "interrupt_answered": interrupting.answered,
    "interrupted": recovery.interrupted,
    "park": waiting.park,
    "pause_run": runs.pause_run,
    "reenter_container": recovery.reenter,
    "requeue": recovery.requeue,
    "restart_container": containers.restart,
    "review": reviewing.consider,
    "review_answered": reviewing.answered,
    "scope_closed": containers.scope_closed,
    "scope_failed": containers.scope_failed,
    "start_child": runs.start_child,
    "start_scope": containers.start_scope,
    "suspend": waiting.suspend,
    "timed_out": containers.timed_out,
}


def drain(tree: Tree) -> None:
    """Carry out everything that is to be done now; scopes are checked for their end when nothing else is left.

    What is still to be done afterwards waits for keys of child runs.
    """
    todo, checks = tree.todo, tree.checks
    while True:
        while todo:
            name, args = todo.popleft()
            try:
                OPERATIONS[name](*args)
            except OutOfKeys:
                todo.appendleft((name, args))
                return
            except BaseException as error:
                faults.contain(args, error)
        if checks:
            scope, run = next(iter(checks.items()))
            del checks[scope]
            order.check(run, scope)
            continue
        if tree.treasury is not None:
            budgeting.sift(tree, tree.treasury)
        for run in list(tree.touched.values()):
            runs.update_states(run)
            if run.seeds is not None and not run.seeds.stored:
                keeping.store(run)
        if not todo:
            return


def operate(name: str, *args: Any) -> None:
    """Carry out one operation now."""
    OPERATIONS[name](*args)
