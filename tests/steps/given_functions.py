"""Functions that workflows are given as objects."""

from __future__ import annotations

from collections.abc import Callable


def double(n: int = 1) -> int:
    """Return twice a number."""
    return 2 * n


def made() -> Callable[[], int]:
    """Return a function that only this call has."""

    def inner() -> int:
        return 1

    return inner


class Box:
    """Has a method."""

    def look(self) -> int:
        """Return a number."""
        return 1
