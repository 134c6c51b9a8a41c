"""What an attempt, and what counts out slots, may ask of the host around it: so that neither knows a host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from agentflow.config import Limits
from agentflow.engine.gate import Gate
from agentflow.engine.plan.commands import Command
from agentflow.engine.plan.state import Node, RunState
from agentflow.steps.contract import Services


class Told(Protocol):
    """What is told a few times a second, rather than at once."""

    def flush(self) -> None:
        """Tell what has waited long enough."""
        ...


class AttemptPort(Protocol):
    """What an attempt may ask of its host."""

    @property
    def gate(self) -> Gate:
        """What values and texts go through that are kept."""
        ...

    @property
    def limits(self) -> Limits:
        """How much steps may tell."""
        ...

    @property
    def services(self) -> Services:
        """What the process offers."""
        ...

    @property
    def env(self) -> Mapping[str, str]:
        """Values of the config's `env`."""
        ...

    @property
    def public_env(self) -> Mapping[str, str]:
        """Those of them that aren't secret."""
        ...

    def now(self) -> float:
        """Return the engine's time."""
        ...

    def soon(self, call: Callable[[], None]) -> None:
        """Have the event loop call something; safe in any thread."""
        ...

    def later(self, told: Told) -> None:
        """Let something have its turn a few times a second."""
        ...

    def send(self, run: RunState, command: Command) -> None:
        """Leave a command for the tree of a run."""
        ...

    async def save_state(self, run: RunState, node: Node, state: Any) -> None:
        """Commit the state of a running step."""
        ...

    async def publish(self, topic: str, data: Any, event_id: str | None, owner: str) -> int:
        """Publish an event of a running step, as its run's owner; returns how many waits it reached."""
        ...
