"""The seam between the core and what delivers work: a runtime keeps no truth, the store does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import anyio
from anyio.abc import TaskStatus


class Work(NamedTuple):
    """One thing to perform."""

    run: int
    n: int
    """Number of the step in its run."""
    step_id: str
    """Its address."""
    attempt: int
    entry: int
    kind: Literal["step", "timer", "advance"] = "step"
    due: float | None = None

    @property
    def key(self) -> str:
        """Stable name of this delivery: the same work delivered twice has the same key."""
        return f"{self.run}/{self.step_id}/{self.attempt}/{self.entry}/{self.kind}"


class WorkLease(Protocol):
    """What a handler holds while it performs a work."""

    interrupted: str | None
    """Why the work was interrupted; the handler is then called once more to say what becomes of it."""

    @property
    def scope(self) -> anyio.CancelScope:
        """The scope that an interrupt cancels."""
        ...

    def interrupt(self, reason: str) -> None:
        """Cancel the work that is being performed."""
        ...


class Handler(Protocol):
    """Performs works. The core implements it once; runtimes call it."""

    def enter(self) -> None:
        """Prepare the task of a worker, which performs many works."""
        ...

    async def perform(self, work: Work, lease: WorkLease) -> Sequence[Work]:
        """Execute a work that is claimed, commit what came of it, and return the works that this made ready."""
        ...


class Runtime(Protocol):
    """Delivers works to handlers."""

    name: str

    async def dispatch(self, works: Sequence[Work]) -> None:
        """Hand works over; the same key twice is one work."""
        ...

    async def withdraw(self, keys: Sequence[str]) -> None:
        """Take works back that nobody has begun, as far as that is possible."""
        ...

    async def serve(self, handler: Handler, *, slots: int, task_status: TaskStatus[None]) -> None:
        """Perform works, at most `slots` at once, until cancelled."""
        ...

    async def health(self) -> str | None:
        """Return None when all is well, else what isn't."""
        ...
