"""Which step runs here: known in its task, in the tasks that it starts, and in the threads of its functions."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class Printing(Protocol):
    """What takes a step's printed text."""

    def printed(self, text: str) -> bool:
        """Take a text into the step's log; False: the step has ended. Safe to call from any thread."""
        ...


running_step: ContextVar[Printing | None] = ContextVar("agentflow_running_step", default=None)
