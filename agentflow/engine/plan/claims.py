"""Giving steps their slots."""

from __future__ import annotations

from functools import lru_cache

from agentflow.data import encode
from agentflow.engine.plan import limits
from agentflow.engine.plan.decided import UNDECIDED
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState


def claim(run: RunState, node: Node) -> None:
    """Give a queued step its slot: it is executed from now on."""
    if node.entered == "reducing":  # no attempt of its own: what it does is done
        node.phase = "run"
        run.running += 1
        run.save(node)
        return
    decided, entered, env = node.decided, node.entered, run.tree.env
    memo = entered == "crash"
    if node.demand is not None:
        limits.ask_with_claim(run, node, node.demand)
    if entered != "park":
        node.attempt += 1
    if entered is None:
        memo = decided is not UNDECIDED or node.attempt > 1
        node.tries += 1
        decided = UNDECIDED
    elif memo:
        decided = decided._replace(unbegun=True)
    if decided.handed is not env.hands_out:
        decided, memo = decided._replace(handed=not decided.handed), True
    node.decided = decided
    node.state, node.phase = "working", "run"
    if node.started is None:  # its time is that of all its attempts
        node.started = env.moment
    run.running += 1
    if node.program.step.at_most_once:
        run.changes().synced = True  # the claim is the mark that it has begun
    run.save(node, memo=memo)
    run.emit("step_started", node.address, _begun(node.tries))


@lru_cache(maxsize=64)
def _begun(attempt: int) -> bytes:
    return encode({"attempt": attempt})  # nearly always of the first
