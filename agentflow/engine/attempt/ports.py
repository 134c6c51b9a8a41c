"""What an attempt may ask: of the process that executes it, and, through a port, of the run that it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agentflow.credentials import Credentials
from agentflow.engine.exchange import Attempt, Chunk
from agentflow.engine.gate import Gate
from agentflow.engine.volume import Volume
from agentflow.errors import StepError
from agentflow.steps.contract import Services, StepType


class Notable(Protocol):
    """What an attempt tells of itself and hasn't handed over yet."""

    def flush(self) -> None:
        """Hand over what has waited long enough."""
        ...

    def take(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Return it as events, their types and data."""
        ...


def over(attempt: Attempt) -> StepError:
    """Return what an attempt gets that isn't the current one any more, or whose run is held elsewhere."""
    return StepError(
        f'attempt {attempt.attempt} of step "{attempt.address}" is over: what it does isn\'t kept',
        code="AF-INTERRUPTED", kind="crash", retryable=False,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Process:
    """What the process offers that executes attempts."""

    gate: Gate
    """What values and texts go through that are kept."""
    services: Services
    """What steps may use."""
    env: Mapping[str, str]
    """Values of the config's `env`."""
    public_env: Mapping[str, str]
    """Those of them that aren't secret."""
    types: Callable[[str], StepType | None]
    """Finds step types by name."""
    now: Callable[[], float]
    """The engine's time."""
    soon: Callable[[Callable[[], None]], None]
    """Has the event loop call something; safe in any thread."""
    later: Callable[[Notable], None]
    """Lets something have its turn a few times a second."""
    fed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Values of `env` that stand for tokens of connections → the connection."""

    @property
    def asks(self) -> bool:
        """Whether there are tools that somebody has to approve."""
        return bool(getattr(self.services, "gates", None))


class Port(Protocol):
    """What an attempt may ask of its run, wherever that is held.

    Whoever asks for an attempt that is over, or that a newer one has replaced, gets a StepError.
    """

    def input(self, attempt: Attempt) -> Any:
        """Return the run's input."""
        ...

    def result(self, attempt: Attempt, step: str) -> Any:
        """Return the result of a step that is visible from here; null where it was skipped, KeyError without one."""
        ...

    def ended(self, attempt: Attempt) -> Sequence[str]:
        """Return the ids of the steps that are visible from here and have ended."""
        ...

    def volume(self, attempt: Attempt) -> Volume:
        """Return how much the steps of the run may tell."""
        ...

    def tell(self, attempt: Attempt, told: Notable) -> None:
        """Say that there is something to take."""
        ...

    async def save(self, attempt: Attempt, state: Any) -> None:
        """Commit the state of the step."""
        ...

    async def deliver(self, attempt: Attempt, chunk: Chunk) -> None:
        """Commit a chunk of an artifact."""
        ...

    async def credentials(
        self, attempt: Attempt, connection: str, scopes: Collection[str], refused: Credentials | None
    ) -> Credentials:
        """Return credentials of the run's owner; `refused`: others than these. Raises NotConnected: there are none."""
        ...

    async def publish(self, attempt: Attempt, topic: str, data: Any, event_id: str | None) -> int:
        """Publish an event as the run's owner; returns how many waits it reached."""
        ...
