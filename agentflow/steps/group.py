"""`parallel`, `sequence` and `saga`: a nested list of steps with a scope of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from agentflow.steps.containers import DONE, NOTHING, Bodies, Frame, Move, Opening
from agentflow.steps.contract import BodyField, StepType


class GroupConfig(BaseModel):
    """A group has no fields of its own besides `steps`."""

    model_config = ConfigDict(extra="forbid")


class Group:
    """Opens its one body; its result is the map of the steps' results."""

    def start(self, frame: Frame) -> Move:
        """Open the body."""
        return Move(openings=(Opening("steps"),))

    def ended(self, frame: Frame, label: str) -> Move:
        """End with the body."""
        return DONE

    def fired(self, frame: Frame) -> Move:
        """Do nothing: groups set no timers."""
        return NOTHING

    def restore(self, frame: Frame, labels: Collection[str]) -> Sequence[Opening]:
        """Open the body again."""
        return (Opening("steps"),)

    def rewind(self, memo: dict[str, Any], done: Collection[str]) -> dict[str, Any] | None:
        """Keep the body open."""
        return memo

    def result(self, bodies: Bodies) -> Any:
        """Return the steps' results by id."""
        return bodies.result_of("steps")


_BODIES = (BodyField("steps", "steps", required=True),)

TYPES = (
    StepType("parallel", GroupConfig, "Steps that run side by side.", container=Group(), bodies=_BODIES),
    StepType("sequence", GroupConfig, "Steps that run one after the other.", container=Group(), bodies=_BODIES),
    StepType(
        "saga",
        GroupConfig,
        "Steps whose completed ones are compensated in reverse order when one fails.",
        container=Group(),
        bodies=_BODIES,
    ),
)
