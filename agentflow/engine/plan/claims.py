"""Giving steps their slots."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from agentflow.data import encode
from agentflow.engine.decided import UNDECIDED, lasting
from agentflow.engine.plan import limits, steps, turns
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
        decided = lasting(decided)
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
    if node.program.spec.turns and decided.turn is None:
        turns.begin(run, node, _fields(run, node))
        memo = True
    run.save(node, memo=memo)
    run.emit("step_started", node.address, _begun(node.tries))


def _fields(run: RunState, node: Node) -> Mapping[str, Any]:
    """Return the fields of a step's type, computed; none where that fails, as its attempt does then."""
    try:
        constant = steps.constant_of(node)
        return constant[0] if constant is not None else steps.computed(run, node)
    except Exception:
        return {}


@lru_cache(maxsize=64)
def _begun(attempt: int) -> bytes:
    return encode({"attempt": attempt})  # nearly always of the first
