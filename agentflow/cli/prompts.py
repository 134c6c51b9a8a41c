"""What stands before the cursor of a form, and what its keys do. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from agentflow.cli.forms import Kind, Question, choice_shown, default_shown
from agentflow.cli.shown import clean

LISTED = 12
"""More choices than this are typed, not listed."""


def prompt_text(question: Question) -> str:
    """Return what stands before the cursor, after the question's name."""
    parts = [clean(question.label)] if question.label else []
    if question.kind in ("choice", "checks"):
        parts.append(f"({', '.join(clean(choice_shown(c)) for c in question.choices[:LISTED])})")
    if question.kind == "boolean":
        parts.append("yes or no")
    if question.kind in ("edit", "json"):
        key = "Enter" if question.required and not question.nullable else "e"
        parts.append(f"{key} opens your editor, or type JSON")
    if question.kind == "checks":
        parts.append("(with commas)")
    if question.kind == "list":
        parts.append("(with commas or one a line, an empty line ends)")
    if question.kind == "long":
        parts.append("(an empty line ends)")
    if empty := _empty(question):
        parts.append(empty)
    return "  ".join(parts) + ": "


def _empty(question: Question) -> str:
    """Return what an empty line means."""
    if question.has_default:
        return "(empty keeps the one that is there)" if question.secret else f"[{clean(default_shown(question))}]"
    if question.kind in ("list", "long") and question.required:
        return ""
    if not question.required:
        return "(empty to leave out)"
    return "(empty for none)" if question.nullable else ""


def key_hints(asked: Sequence[Question]) -> str:
    """Return the line that tells what the keys of a form do."""
    kinds: set[Kind] = {question.kind for question in asked}
    keys = ["Enter goes on"]
    if kinds & {"choice", "checks", "variants"}:
        keys.append("↑ ↓ choose")
    if "checks" in kinds:
        keys.append("Space marks")
    if kinds - {"choice", "boolean", "constant", "shown"}:
        keys.append("Ctrl+X for JSON")
    return " · ".join([*keys, "Esc leaves"])
