"""What a transition does outside, as data: it is done once the transition is committed, and never if it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

from agentflow.engine.plan.environment import Lease
from agentflow.steps.contract import Withdraw as TakeBack


class Executed(Protocol):
    """A step that a worker executes, as long as it does."""

    @property
    def lease(self) -> Lease | None:
        """How the worker is reached."""
        ...


class Interrupt(NamedTuple):
    """Whoever executes a step is to stop."""

    run: int
    n: int
    step: Executed
    reason: str


class Reap(NamedTuple):
    """What an attempt of a dead host has left behind is to be ended."""

    address: str
    reap: Callable[[Any], None]
    saved: Any


class Withdraw(NamedTuple):
    """What a step has begun elsewhere is to be taken back, unless it has answered."""

    turn: str | None
    """The turn that the step was; the store knows of what that has begun."""
    address: str
    withdraw: TakeBack
    state: Any
    answered: bool = False


Effect: TypeAlias = Interrupt | Reap | Withdraw
