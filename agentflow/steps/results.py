"""How texts of tools and scripts become results."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from agentflow.data import is_array, is_object


def parse_json(raw: bytes | str) -> Any:
    """Read JSON from outside: `NaN` and lone surrogates, which have no JSON form, are refused.

    Raises:
        ValueError: it isn't JSON.
    """
    return from_json(raw, allow_inf_nan=False)


def read_text(text: str) -> Any:
    """Return the object or array that a text is, else `{"output": text}`, trimmed.

    Other JSON (a number, `true`) stays text: a result's kind mustn't change with what a program happens to print.
    """
    text = text.strip()
    if text[:1] in ("{", "["):
        try:
            value = parse_json(text)
        except ValueError:
            value = None
        if is_object(value) or is_array(value):
            return value
    return {"output": text}
