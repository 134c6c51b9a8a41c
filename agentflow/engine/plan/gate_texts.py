"""What people are asked at a step's gates, and what is shown to them."""

from __future__ import annotations

import hashlib
from typing import Any

from agentflow.data import encode, is_array, is_object
from agentflow.definition.gates import Approve, Review
from agentflow.engine.gates import Gated
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.expressions.view import View
from agentflow.steps.contract import Wait

LONGEST, MOST = 2_000, 100
"""Characters of a text, and entries of a list or a mapping, that are shown."""
_COMMENT = {"type": "string", "description": "Why; it is kept with the answer."}


def mark_of(shown: Any, attempt: int) -> str:
    """Return what an approval is bound to: what was shown, and where each attempt is asked for, which."""
    return f"{hashlib.blake2b(encode(shown), digest_size=12).hexdigest()}/{attempt}"


def brief(value: Any) -> Any:
    """Return a value as people are shown it: long texts and lists are cut, and say so."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value):,} characters)"
    if is_array(value):
        rest = [f"… ({len(value) - MOST:,} more)"] if len(value) > MOST else []
        return [*(brief(item) for item in value[:MOST]), *rest]
    if is_object(value):
        kept = {name: brief(item) for name, item in list(value.items())[:MOST]}
        return kept if len(value) <= MOST else {**kept, "…": f"{len(value) - MOST:,} more"}
    return value


def approval(run: RunState, node: Node, gate: Gated[Approve], shown: Any, view: View) -> Wait:
    """Return what is asked before a step begins."""
    settings, spec = gate.settings, node.program.spec
    choices = ["approve", "reject", *(["edit"] if settings.edit else [])]
    properties: dict[str, Any] = {"decision": {"type": "string", "enum": choices}}
    if settings.edit:
        fields = {name: wanted or _like(current(shown, name)) for name, wanted in settings.edit.items()}
        properties["edit"] = {
            "type": "object", "description": "What is done otherwise.", "properties": fields,
            "minProperties": 1, "additionalProperties": False,
        }  # fmt: skip
    schema = _answer(properties, _only_with("edit", "edit") if settings.edit else None)
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
    if changes:
        properties["result"] = {"description": "What counts as its result.", **(settings.schema_ or {})}
    if again:
        properties["feedback"] = {"type": "string", "minLength": 1, "description": "What is to be done otherwise."}
    schema = _answer(
        properties,
        _only_with("edit", "result") if changes else None,
        _only_with("send_back", "feedback") if again else None,
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


def _answer(properties: dict[str, Any], *rules: dict[str, Any] | None) -> dict[str, Any]:
    told = [rule for rule in rules if rule is not None]
    schema: dict[str, Any] = {"type": "object", "properties": {**properties, "comment": _COMMENT}}
    return {**schema, "required": ["decision"], "additionalProperties": False, **({"allOf": told} if told else {})}


def _only_with(decision: str, field: str) -> dict[str, Any]:
    """Return the rule that a field is given with one decision, and with no other."""
    return {
        "if": {"properties": {"decision": {"const": decision}}, "required": ["decision"]},
        "then": {"required": [field]},
        "else": {"properties": {field: False}},
    }


def _like(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int | float):
        return {"type": "number"}
    kind = (
        "string" if isinstance(value, str) else "array" if is_array(value) else "object" if is_object(value) else None
    )
    return {} if kind is None else {"type": kind}


def _common(gate: str, settings: Approve | Review) -> dict[str, Any]:
    return {"gate": gate, **({"human_only": True} if settings.human_only else {})}


def _message(run: RunState, gate: Gated[Any], view: View) -> str | None:
    if gate.message is None:
        return None
    said = gate.message.render(view)
    return run.tree.env.gate.text(said if isinstance(said, str) else encode(said).decode())
