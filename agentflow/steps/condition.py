"""`condition`: one of two branches runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from agentflow.steps.containers import DONE, NOTHING, Bodies, Frame, Move, Opening
from agentflow.steps.contract import BodyField, StepType


class ConditionConfig(BaseModel):
    """Fields of a condition, besides `if_true` and `if_false`."""

    model_config = ConfigDict(extra="forbid")

    expression: str | bool
    """Decides which branch runs."""


class Branch:
    """Opens the chosen branch; without one the step completes with null."""

    def start(self, frame: Frame) -> Move:
        """Decide, once."""
        branch = "if_true" if frame.test("expression") else "if_false"
        if branch not in frame.bodies:
            return Move(done=True, memo={"branch": None})
        return Move(openings=(Opening(branch),), memo={"branch": branch})

    def ended(self, frame: Frame, label: str) -> Move:
        """End with the branch."""
        return DONE

    def fired(self, frame: Frame) -> Move:
        """Do nothing: branches set no timers."""
        return NOTHING

    def restore(self, frame: Frame, labels: Collection[str]) -> Sequence[Opening]:
        """Open the branch that was chosen."""
        branch = frame.memo.get("branch")
        return (Opening(branch),) if branch else ()

    def rewind(self, memo: dict[str, Any], done: Collection[str]) -> dict[str, Any] | None:
        """Stay with the branch that was chosen."""
        return memo if memo.get("branch") else None

    def result(self, bodies: Bodies) -> Any:
        """Return the branch's result."""
        branch = bodies.memo.get("branch")
        return bodies.result_of(branch) if branch else None


TYPES = (
    StepType(
        "condition",
        ConditionConfig,
        "Runs one of two branches.",
        container=Branch(),
        bodies=(BodyField("if_true", "step_or_steps"), BodyField("if_false", "step_or_steps")),
        conditions=("expression",),
    ),
)
