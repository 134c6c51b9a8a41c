"""`end`: ends the run, or an enclosing container, early."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from agentflow.steps.containers import DONE, NOTHING, Bodies, End, Frame, Move, Opening
from agentflow.steps.contract import StepType
from agentflow.steps.unset import UNSET


class EndConfig(BaseModel):
    """Fields of an early end."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["completed", "failed", "rejected"] = "completed"
    """How it ends; a container can't be rejected."""
    scope: str = "run"
    """`run`, or the id of an enclosing container."""
    output: Any = None
    """Result of what ends."""
    message: str | None = None
    """Why, for people."""


class EarlyEnd:
    """Asks for the end; what still runs in that scope is cancelled."""

    def start(self, frame: Frame) -> Move:
        """End it."""
        missing: Any = UNSET
        return Move(
            end=End(
                scope=str(frame.field("scope", "run")),
                state=str(frame.field("state", "completed")),
                output=frame.field("output", missing),
                message=frame.field("message"),
            )
        )

    def ended(self, frame: Frame, label: str) -> Move:
        """Do nothing: it has no bodies."""
        return DONE

    def fired(self, frame: Frame) -> Move:
        """Do nothing: it sets no timers."""
        return NOTHING

    def restore(self, frame: Frame, labels: Collection[str]) -> Sequence[Opening]:
        """Open nothing."""
        return ()

    def rewind(self, memo: dict[str, Any], done: Collection[str]) -> dict[str, Any] | None:
        """End anew."""
        return None

    def result(self, bodies: Bodies) -> Any:
        """Return null."""
        return None


TYPES = (StepType("end", EndConfig, "Ends the run, or a container, early.", container=EarlyEnd()),)
