"""What the examples' models say where there is no key for a real one. Each call leaves a line in `calls.log`."""

from __future__ import annotations

from pathlib import Path

CALLS = Path("calls.log")


def look_up(prompt: str) -> str:
    """Return the product that a researcher looks up, as a model would pick it from the question."""
    _count("look_up")
    return prompt.removesuffix("?").rpartition(" ")[2]


def outline(found: str) -> str:
    """Return what a researcher makes of what it has looked up."""
    _count("outline")
    return f"Worth telling: {found}"


def draft(prompt: str) -> str:
    """Return a writer's text."""
    _count("draft")
    return f"Meet our newest. {prompt.partition('Worth telling: ')[2]}"


def _count(call: str) -> None:
    with CALLS.open("a", encoding="utf-8") as calls:
        calls.write(f"{call}\n")
