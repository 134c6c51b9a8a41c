"""What the workflow calls: plain functions, which take a step's input and return its result."""

from __future__ import annotations


def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello {name}!"


def count(greetings: list[str]) -> int:
    """Count the letters of all greetings."""
    return sum(len(greeting) for greeting in greetings)
