"""Who makes a call, and what its client can do while it waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

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
    ask: Asking | None = None
    """Asks its user; None: it can't."""
    key: str | None = None
    """Idempotency key of the call."""
    tasks: bool = False
    """Whether it takes a task for a result, and follows that itself."""
    forms: bool = False
    """Whether it shows the forms that a task, or a round of a call, asks for."""
    rounds: bool = False
    """Whether it takes what is asked for a result, and goes on with the call when it has the answers."""
    wrong: Mapping[str, str] = field(default_factory=dict[str, str])
    """What was wrong with the answers that it has brought, by the waits' ids."""
