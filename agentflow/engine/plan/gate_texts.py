"""What people are asked at a step's gates, and what is shown to them."""

from __future__ import annotations

import hashlib
from typing import Any

from agentflow.data import encode, is_object
from agentflow.definition.gates import Approve, Review
from agentflow.engine.gate_forms import answer_form, approval_form, brief, only_with
from agentflow.engine.gates import Gated
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.expressions.view import View
from agentflow.steps.contract import Wait


def mark_of(shown: Any, attempt: int) -> str:
    """Return what an approval is bound to: what was shown, and where each attempt is asked for, which."""
    return f"{hashlib.blake2b(encode(shown), digest_size=12).hexdigest()}/{attempt}"


def approval(run: RunState, node: Node, gate: Gated[Approve], shown: Any, view: View) -> Wait:
    """Return what is asked before a step begins."""
    settings, spec = gate.settings, node.program.spec
    schema = approval_form(settings.edit, lambda name: current(shown, name))
    effect = "at_most_once" if node.program.step.at_most_once else "unsafe" if spec.unsafe else "safe"
    details = {**_common("approve", settings), "type": spec.name, "would": brief(shown), "effect": effect}
    message = _message(run, gate, view) or f'Approve step "{node.address}" ({spec.name})?'
    return Wait("input", message, schema, timeout=settings.timeout, assignees=settings.assignees, details=details)


def review(run: RunState, node: Node, gate: Gated[Review], result: Any, rounds: int, view: View) -> Wait:
    """Return what is asked after a step has worked."""
    settings = gate.settings
    again = rounds < settings.max_rounds and not node.program.step.at_most_once
    changes = settings.edit or settings.schema_ is not None
    choices = ["accept", *(["edit"] if changes else []), *(["send_back"] if again else []), "reject"]
    properties: dict[str, Any] = {"decision": {"type": "string", "enum": choices}}
    if rounds and not again:
        often = f"{rounds} time{'s' if rounds > 1 else ''}"
        properties["decision"]["description"] = f"It was sent back {often}, as often as `max_rounds` allows."
    if changes:
        properties["result"] = {"description": "What counts as its result.", **(settings.schema_ or {})}
    if again:
        properties["feedback"] = {"type": "string", "minLength": 1, "description": "What is to be done otherwise."}
    schema = answer_form(
        properties,
        only_with("edit", "result") if changes else None,
        only_with("send_back", "feedback") if again else None,
    )
    shown = run.tree.env.gate.redactor.value(result)
    details = {**_common("review", settings), "type": node.program.spec.name, "result": brief(shown), "round": rounds}
    message = _message(run, gate, view) or f'Accept what step "{node.address}" has given?'
    return Wait("input", message, schema, timeout=settings.timeout, assignees=settings.assignees, details=details)


def current(shown: Any, name: str) -> Any:
    """Return what a field that may be changed has now: one of the step, or of its input."""
    if not is_object(shown):
        return None
    inner = shown.get("input")
    return shown[name] if name in shown else inner.get(name) if is_object(inner) else None


def _common(gate: str, settings: Approve | Review) -> dict[str, Any]:
    return {"gate": gate, **({"human_only": True} if settings.human_only else {})}


def _message(run: RunState, gate: Gated[Any], view: View) -> str | None:
    if gate.message is None:
        return None
    said = gate.message.render(view)
    return run.tree.env.gate.text(said if isinstance(said, str) else encode(said).decode())
