"""Steps that run at most once and were broken off: they fail, or an operator says what has become of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentflow.data import is_object
from agentflow.engine.decided import lasting
from agentflow.engine.exchange import idempotency_key
from agentflow.engine.failures import failure_of
from agentflow.engine.gate import RESULT
from agentflow.engine.plan import limits, steps, turns, waiting
from agentflow.engine.plan.handing import undone_of
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.errors import Failure, StepError
from agentflow.steps.contract import Wait

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "outcome": {
            "type": "string",
            "oneOf": [  # what does no harm comes first: forms offer it, and examples take it
                {"const": "give_up", "title": "Give up: the step fails"},
                {"const": "not_happened", "title": "It hasn't happened: run it"},
                {"const": "happened", "title": "It has happened"},
            ],
        },
        "result": {"description": "What it gave, if it has happened."},
    },
    "required": ["outcome"],
    "additionalProperties": False,
    "allOf": [
        {
            "if": {"properties": {"outcome": {"const": "happened"}}, "required": ["outcome"]},
            "else": {"properties": {"result": False}},
        }
    ],
}


def failure(node: Node) -> Failure:
    """Return the failure of a step that was interrupted and may not be entered again."""
    message = f'step "{node.address}" was interrupted, and it is set to run at most once'
    return Failure("AF-INTERRUPTED", message, kind="crash", retryable=False)


def over(run: RunState, node: Node) -> None:
    """End a step that was broken off, or ask what has become of it."""
    if node.program.step.on_interrupted == "fail":
        steps.fail(run, node, failure(node))
        return
    turns.end(run, node, "failed", failure(node).message)
    node.phase, node.lease, node.entered = None, None, None
    node.decided = lasting(node.decided)
    key = idempotency_key(run.id, node.address, undone_of(node))
    details = {
        "gate": "interrupted", "type": node.program.spec.name, "started_at": node.started, "attempt": node.attempt,
        "idempotency_key": key, "human_only": True,
    }  # fmt: skip
    message = f'Step "{node.address}" was interrupted; nobody knows whether it has worked.'
    limits.give_back(run, node)
    waiting.open_wait(run, node, Wait("operator", message, SCHEMA, details=details), "interrupted")


def answered(run: RunState, node: Node, answer: Mapping[str, Any]) -> None:
    """Carry out what an operator knows of the step."""
    value = answer.get("value")
    told = value if is_object(value) else {}
    node.phase, node.state, node.task = None, "working", None
    node.decided = lasting(node.decided)
    if told.get("outcome") == "happened":
        try:
            raw = run.tree.env.gate.encoded(told.get("result"), RESULT)
        except StepError as error:
            steps.fail(run, node, failure_of(error))
            return
        steps.complete(run, node, raw)
    elif told.get("outcome") == "not_happened":
        node.decided = node.decided._replace(stage="due")
        run.save(node, memo=True)
        run.tree.push("again", run, node)
    else:
        steps.fail(run, node, failure(node))
