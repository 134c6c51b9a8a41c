"""A fault of agentflow in a run: the step fails that it happened in, else the run. The host goes on."""

from __future__ import annotations

import logging
from typing import Any

from agentflow.data import encode
from agentflow.engine.plan import steps, waiting
from agentflow.engine.plan.effects import Interrupt
from agentflow.engine.plan.marks import ROOT
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState, Tree
from agentflow.errors import Failure
from agentflow.reports import described, report

log = logging.getLogger("agentflow")


def defect(run: RunState, error: BaseException) -> Failure:
    """Return the failure that a fault of agentflow makes in a run, and leave a report of it."""
    gate = run.tree.env.gate
    path = report(error, gate.redactor.text)
    log.error("a fault of agentflow in run %s: %s", run.id, gate.redactor.text(described(error)))
    message = f"a fault of agentflow: {_said(error)}"
    why = f"the details are in {path}; please report them with the steps that led here" if path else None
    return gate.failure(Failure("AF-DEFECT", message, retryable=False, why=why))


def _said(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # an exception of the user's may fail at anything
        return type(error).__name__


def contain(args: tuple[Any, ...], error: BaseException) -> None:
    """Fail the step in which an operation of the planner has failed; raises the error where that is not one step.

    Args:
        args: what the operation was for: a run and a step, as the first two.
        error: what it raised.
    """
    run, node = args[0], args[1] if len(args) > 1 else None
    if not isinstance(run, RunState) or not isinstance(node, Node) or not _single(run, node):
        raise error
    if node.task is not None and node.task in run.waits:
        waiting.close_wait(run, node)
    if node.phase == "timer":
        run.drop_timer(node, "timer")
    steps.fail(run, node, defect(run, error))


def _single(run: RunState, node: Node) -> bool:
    """Tell whether a step is in progress that holds no others."""
    return node.n != ROOT and node.program.container is None and not node.settled and run.live.get(node.n) is node


def fail_tree(tree: Tree, error: BaseException) -> None:
    """End every run of a tree as failed, and have stopped what is executing."""
    tree.todo.clear()
    tree.checks.clear()
    failure = defect(tree.root, error)
    for run in tree.runs.values():
        for node in list(run.live.values()):
            if node.lease is not None:
                tree.effects.append(Interrupt(run.key, node.n, node, "fenced"))
        created, taken = (run.change.create, run.change.take) if run.change is not None else (None, False)
        run.change = None
        if run.ended:
            continue
        run.state = "failed"
        run.ready.clear()
        run.live.clear()  # what comes of a step that ends now is too late
        run.running = 0
        change = run.changes()
        change.create, change.take = created, taken
        now = tree.env.moment
        run.patch(state="failed", error=encode(failure.to_data()), ended_at=now, now_text=failure.message)
        run.emit("run_failed", None, {"error": failure.to_data()}, bumps=True)
