"""What is shown of a step's gate beside its question: nobody approves what they can't see. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from agentflow.data import is_object
from agentflow.definition.form_parts import shown


class Told(NamedTuple):
    """One thing that is shown, under a title."""

    title: str
    text: str


def told_of(details: Mapping[str, Any]) -> Told | None:
    """Return what a wait's details show at a gate: what would be done, what was given, what is known; else None."""
    gate = details.get("gate")
    if gate == "approve":
        would = details.get("would")
        once = ", at most once" if details.get("effect") == "at_most_once" else ""
        fields = would if is_object(would) else {}
        return Told(f"What would run: {details.get('type')}{once}", _lines(fields))
    if gate == "tool":
        server = f" of {details.get('server')}" if details.get("server") else ""
        would = details.get("would")
        return Told(f"What would be called: {details.get('tool')}{server}", _lines(would if is_object(would) else {}))
    if gate == "review":
        return Told("What the step has given", shown(details.get("result")))
    if gate == "interrupted":
        started = details.get("started_at")
        begun = datetime.fromtimestamp(started, UTC).isoformat(" ", "seconds") if isinstance(started, float) else None
        known = {"attempt": details.get("attempt"), "begun": begun, "idempotency key": details.get("idempotency_key")}
        return Told("What is known", _lines({name: value for name, value in known.items() if value is not None}))
    return None


def _lines(fields: dict[str, object]) -> str:
    lines: list[str] = []
    for name, value in fields.items():
        if is_object(value) and value:
            lines += [f"{name}:", *(f"  {key}: {shown(part)}" for key, part in value.items())]
        else:
            lines.append(f"{name}: {shown(value)}")
    return "\n".join(lines)
