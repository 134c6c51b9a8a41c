"""How texts of tools and scripts become results."""

from __future__ import annotations

from typing import Any

from agentflow.data import is_array, is_object, parse


def read_text(text: str) -> Any:
    """Return the object or array that a text is, else `{"output": text}`, trimmed.

    What no data can hold (NaN, a number out of range, nesting without end) stays text too: nothing is lost.
    Other JSON (a number, `true`) stays text: a result's kind mustn't change with what a program happens to print.
    """
    text = text.removeprefix("\ufeff").strip()
    if text[:1] in ("{", "["):
        try:
            value = parse(text)
        except ValueError:
            value = None
        if is_object(value) or is_array(value):
            return value
    return {"output": text}
