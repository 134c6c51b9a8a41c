"""`review`: what a step has given waits until somebody accepts it, changes it, or sends the step back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentflow.data import decode, encode, is_object
from agentflow.engine.decided import Decided
from agentflow.engine.failures import failed_by, failure_of
from agentflow.engine.gate import RESULT
from agentflow.engine.plan import gate_texts, steps, turns, waiting
from agentflow.engine.plan.approving import refused
from agentflow.engine.plan.carried import UNREAD
from agentflow.engine.plan.nodes import Node, stopping
from agentflow.engine.plan.results import result_value
from agentflow.engine.plan.state import RunState
from agentflow.engine.plan.view import NodeView
from agentflow.errors import Failure, StepError
from agentflow.steps.unset import UNSET

_OWN = ("accepted", "given", "worked")


def consider(run: RunState, node: Node, raw: bytes | None) -> None:
    """Let a step end whose result nobody has to accept this time; else ask."""
    gate, kept = node.program.review, node.decided.gates or {}
    if gate is None or run.live.get(node.n) is not node:
        return
    turns.end(run, node, "completed", raw=raw)
    node.state, node.result, node.value = "completed", raw, UNREAD  # so that it can be read as any other
    wait = failure = None
    try:
        view = NodeView(run, node.scope, steps.values_of(run, node), node=node)
        if gate.if_ is None or gate.if_.evaluate(view):
            wait = gate_texts.review(run, node, gate, result_value(run, node), _rounds(kept), view)
    except Exception as error:
        failure = failed_by(run.tree.env.gate, error)
    node.state, node.result, node.value = "working", None, UNREAD
    if failure is not None:
        steps.fail(run, node, failure)
    elif wait is None:
        node.decided = node.decided._replace(gates={**kept, "accepted": True})
        steps.complete(run, node, raw)
    else:  # whatever becomes of it from here on, it has worked
        given = {} if raw is None else {"given": decode(raw)}
        node.decided = node.decided._replace(parked=None, saved=UNSET, gates={**kept, **given, "worked": True})
        if reason := stopping(node):  # nobody is asked any more
            steps.cancel(run, node, reason)
        else:
            waiting.open_wait(run, node, wait, "review")


def _rounds(kept: Mapping[str, Any]) -> int:
    count = kept.get("round", 0)
    return count if isinstance(count, int) else 0


def answered(run: RunState, node: Node, answer: Mapping[str, Any]) -> None:
    """Carry out what somebody thinks of a step's result."""
    gate, kept, value = node.program.review, dict(node.decided.gates or {}), answer.get("value")
    given = encode(kept["given"]) if "given" in kept else None
    told = value if is_object(value) else {}
    decision = told.get("decision")
    if gate is not None and "timeout" in answer:
        decision = gate.settings.default
    rest = {name: each for name, each in kept.items() if name not in _OWN}
    node.phase, node.state, node.task = None, "working", None
    node.decided = node.decided._replace(parked=None, gates=rest or None)
    if decision in {"accept", "edit"}:
        try:
            raw = given if decision == "accept" else run.tree.env.gate.encoded(told.get("result"), RESULT)
        except StepError as error:
            steps.fail(run, node, failure_of(error))
            return
        node.decided = node.decided._replace(gates={**rest, "accepted": True})
        steps.complete(run, node, raw)
    elif decision == "send_back":
        node.tries = 0  # what is done anew may fail as often as it might before
        node.decided = Decided(
            stage="due", gates={**rest, "round": _rounds(kept) + 1, "feedback": told.get("feedback")}
        )
        run.save(node, memo=True)
        run.emit("step_sent_back", node.address, {"feedback": told.get("feedback"), "round": _rounds(kept) + 1})
        run.tree.push("again", run, node)
    else:
        said = told.get("comment") or answer.get("decline") or ""
        message = "nobody accepted its result in time" if "timeout" in answer else "its result wasn't accepted"
        failure = Failure("AF-REVIEW-REJECTED", f"{message}: {said}" if said else message, kind="wait", retryable=False)
        done = {name: kept[name] for name in ("given", "worked") if name in kept}
        node.decided = node.decided._replace(gates={**rest, **done})
        run.save(node, memo=True)
        refused(run, node, failure, gate.settings.on_reject if gate is not None else "fail")
