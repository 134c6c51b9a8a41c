"""What executes steps, and what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from agentflow.engine.exchange import Executing

W = TypeVar("W")


class Handler(Protocol[W]):
    """Performs works: claimed steps in the process that holds their trees, attempts in one that only executes."""

    def enter(self) -> None:
        """Prepare the task of a worker, which performs many works."""
        ...

    async def perform(self, work: W, lease: Executing) -> Sequence[W]:
        """Execute a work, see to what comes of it, and return the works that this made ready.

        It is called once more for one that was interrupted, to say what becomes of it.
        """
        ...
