"""Named points in the engine's work at which a test may let something happen: a crash, most of all.

Nothing happens at them by themselves; `agentflow.testing.faults` is what tests use.
"""

from __future__ import annotations

from collections.abc import Callable

POINTS = ("before-commit", "after-commit", "mid-step", "after-answer")
"""A transition is planned but not stored; stored but nobody knows; a step has acted but its end isn't stored; an answer
is stored but nobody was told."""

_act: Callable[[str], None] | None = None


def reach(point: str) -> None:
    """Say that a point was reached."""
    if _act is not None:
        _act(point)


def enable(act: Callable[[str], None] | None) -> None:
    """Call `act` with the name of every point that is reached from now on; None: nothing any more."""
    global _act  # noqa: PLW0603  one switch for the whole process, off outside of tests
    _act = act
