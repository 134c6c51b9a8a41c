"""What turns of agents have begun elsewhere, as it is kept until it has been ended there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol


class Begun(NamedTuple):
    """What a turn has begun elsewhere."""

    turn: str
    """The turn's task."""
    agent: str
    """Of whom the run is."""
    type: str
    """Of the step."""
    step: str
    """Its address."""
    state: bytes
    """JSON of what the step has saved."""


class Elsewhere(Protocol):
    """Keeps what was begun elsewhere."""

    async def note(self, begun: Begun) -> None:
        """Keep what a turn has begun, instead of what was known of it."""
        ...

    async def forget(self, turns: Collection[str]) -> None:
        """Forget what turns had begun: it has ended."""
        ...

    async def left(self, agents: Collection[str], limit: int = 500) -> Sequence[Begun]:
        """Return what some agents' turns have begun that are over, or deleted."""
        ...
