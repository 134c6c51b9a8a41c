"""Tools that somebody has to approve: the step whose attempt calls one waits, and runs again with what was said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentflow.data import is_object
from agentflow.engine.plan import waiting
from agentflow.engine.plan.approving import is_approved, refused
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.engine.suspended import call_of
from agentflow.errors import Failure

_CALLS = "calls"
"""Where a step's gates keep what was said of its calls."""


def approved(run: RunState, node: Node) -> Mapping[str, Any] | None:
    """Return what an attempt may call without asking: what it was allowed to, by the call's mark."""
    calls = (node.decided.gates or {}).get(_CALLS)
    program = node.program
    if program.spec.name == "tool_call" and program.approve is not None and is_approved(run, node):
        return {"step": True}  # who approved the step has seen what it calls, and with what
    return calls if is_object(calls) else None


def answered(run: RunState, node: Node, answer: Mapping[str, Any]) -> None:
    """Let a step go on whose call was approved, or that is told why not; end it else."""
    parked, value = node.decided.parked, answer.get("value")
    asked: Mapping[str, Any] = (call_of(parked.state) if parked is not None else None) or {}
    told = value if is_object(value) else {}
    decision = asked.get("default") if "timeout" in answer else told.get("decision")
    node.task = None
    if decision in {"approve", "edit"}:
        edits = told.get("edit")
        _note(node, asked, {"edit": edits} if decision == "edit" and is_object(edits) else {})
        waiting.go_on(run, node, None)
        return
    said = told.get("comment") or answer.get("decline") or ""
    what = "nobody approved" if "timeout" in answer else "somebody refused"
    late, why = " in time" if "timeout" in answer else "", f": {said}" if said else ""
    message = f'{what} the call of tool "{asked.get("tool")}"{late}{why}'
    failure = Failure("AF-APPROVAL-REJECTED", message, kind="wait", retryable=False)
    if asked.get("on_reject") == "tell":
        _note(node, asked, {"refused": run.tree.env.gate.failure(failure).to_data()})
        waiting.go_on(run, node, None)
        return
    node.phase, node.state = None, "working"
    refused(run, node, failure, str(asked.get("on_reject")))


def _note(node: Node, asked: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    gates = node.decided.gates or {}
    calls = gates.get(_CALLS)
    before = calls if is_object(calls) else {}
    node.decided = node.decided._replace(gates={**gates, _CALLS: {**before, str(asked.get("mark")): dict(said)}})
