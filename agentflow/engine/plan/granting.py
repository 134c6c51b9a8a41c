"""What becomes of steps that waited for slots of their keys: given one, or told that there will be none."""

from __future__ import annotations

from heapq import heappush

from agentflow.engine.plan import limits, steps
from agentflow.engine.plan.state import RunState


def granted(run: RunState, n: int) -> None:
    """A step has got the slot that it waited for."""
    node = run.queueing.pop(n, None)
    if node is None:
        return
    if node.program.container is not None and not node.program.gated:
        run.tree.push("restart_container", run, node)
    elif node.program.is_leaf and (node.entered is not None or not node.program.gated):
        heappush(run.ready, (n, node))
    else:  # what it would do may have changed since it was approved
        steps.enter(run, node)


def deadlocked(run: RunState, n: int) -> None:
    """A step would wait for its slot for ever, and the store has taken it out of the queue."""
    node = run.live.get(n)
    if node is None or (n not in run.queueing and node.demand is None):
        return
    failure = limits.deadlock(node)
    limits.give_up(run, node)
    if node.entered is None:
        node.attempt += 1
        node.tries += 1
    steps.fail(run, node, failure)
