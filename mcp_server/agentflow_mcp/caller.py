"""Who makes a call, and what its client can do while it waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agentflow.principal import LOCAL, Principal
from agentflow_mcp.asking import Asking


async def _silent(message: str | None) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes one call, and what the client can do while it waits."""

    principal: Principal = LOCAL
    """Whose call it is: its runs are this principal's, and it sees nobody else's."""
    progress: Callable[[str | None], Awaitable[None]] = _silent
    """Takes what the run is at."""
    hears: bool = False
    """Whether it is told what the run is at."""
    ask: Asking | None = None
    """Asks its user at any time; None: it can't."""
    key: str | None = None
    """Idempotency key of the call."""
    tasks: bool = False
    """Whether it takes a task for a result, and follows that itself."""
    only_task: bool = False
    """Whether it takes nothing but a task, also of a run that has ended."""
    forms: bool = False
    """Whether it shows forms."""
    pages: bool = False
    """Whether it takes its user to pages."""
    rounds: bool = False
    """Whether it takes what is asked for a result, and goes on with the call when it has the answers."""
    dismissed: frozenset[str] = frozenset()
    """Ids of waits of which the user has closed the form in this call."""
    opened: frozenset[str] = frozenset()
    """Ids of waits to whose page the user has gone in this call."""
    keep: float | None = None
    """Seconds that the run is kept after its end; None: as long as others."""
