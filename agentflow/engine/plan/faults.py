"""A fault of agentflow in a run: the run fails, the host goes on."""

from __future__ import annotations

from agentflow.data import encode
from agentflow.engine.state import Tree
from agentflow.errors import Defect, Failure


def fail_tree(tree: Tree, error: Defect) -> None:
    """End every run of a tree as failed, and stop what is executing."""
    tree.todo.clear()
    tree.checks.clear()
    failure = Failure(error.code, error.what, kind="exception", retryable=False)
    for run in tree.runs.values():
        for node in list(run.live.values()):
            if node.lease is not None:
                node.lease.interrupt("fenced")
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
        now = tree.world.moment
        run.patch(state="failed", error=encode(failure.to_data()), ended_at=now, now_text=failure.message)
        run.emit("run_failed", None, {"error": failure.to_data()}, bumps=True)
