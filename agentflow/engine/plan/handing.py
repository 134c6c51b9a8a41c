"""Makes attempts of steps that are claimed: what whoever executes them has to know, and nothing of the tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from agentflow.engine.decided import UNDECIDED, state_of
from agentflow.engine.exchange import Attempt
from agentflow.engine.failures import failed_by
from agentflow.engine.plan import approving, calling, steps, turns
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.errors import Failure
from agentflow.steps.unset import UNSET

_attempt = cast("Callable[[Any, Any], Attempt]", tuple.__new__)
"""Makes one, as `Attempt(…)` does with a function around it: there is one for each step."""


def undone_of(node: Node) -> int:
    """Return how often a step was compensated; what undoes a step, or is inside it, is a new thing too."""
    undone, scope = node.undone, node.scope
    while scope is not None:
        undone += scope.owner.undone
        scope = scope.owner.scope
    return undone


def attempt_of(run: RunState, node: Node) -> Attempt | Failure:
    """Return the attempt of a claimed step, its fields computed, or why they can't be."""
    program = node.program
    try:
        constant = steps.constant_of(node)
        config, ready = constant if constant is not None else (steps.computed(run, node), None)
        if program.gated and (failure := approving.changed(run, node)) is not None:
            return failure
    except BaseException as error:  # what validates constant fields may raise anything
        return failed_by(run.tree.env.gate, error)
    undone = undone_of(node)
    saved, goes_on = None, False
    if node.decided is not UNDECIDED:
        saved = state_of(node.decided)
        goes_on = node.decided.saved is not UNSET or node.decided.parked is not None
    turn = None if node.decided.turn is None else turns.place(run, node.decided.turn)
    approved = None if node.decided.gates is None else calling.approved(run, node)
    return _attempt(Attempt, (
        run.key, node.n, node.attempt, node.entry, run.id, node.address, run.row.workflow, node.tries,
        program.spec.name, config, program.spec, ready, node.values, undone, program.timeout, saved, node.arrived,
        run.row.tenant, run.row.agent, goes_on, turn, program.connections, approved, None,
    ))  # fmt: skip
