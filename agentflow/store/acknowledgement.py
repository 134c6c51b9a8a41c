"""What a commit tells of the changes that it took in."""

from __future__ import annotations

from typing import NamedTuple


class Stamp(NamedTuple):
    """Where a run's log stands after a commit."""

    seq: int
    generation: int
    updated_at: float


class Fenced(NamedTuple):
    """A change was refused: somebody else holds the tree (or it doesn't exist any more)."""

    run: int
