"""`switch`: the first case whose condition holds runs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from agentflow.steps.condition import Branch
from agentflow.steps.containers import Frame, Move, Opening
from agentflow.steps.contract import BodyField, StepType


class SwitchConfig(BaseModel):
    """Fields of a switch; each case's steps are a body."""

    model_config = ConfigDict(extra="forbid")

    cases: list[str | bool]
    """The cases' conditions, in order."""


class Switch(Branch):
    """Opens the first case that holds, else `default`."""

    def start(self, frame: Frame) -> Move:
        """Decide, once."""
        number = 0
        while f"case[{number}]" in frame.bodies:
            if frame.test("cases", number):
                return self._take(f"case[{number}]")
            number += 1
        if "default" in frame.bodies:
            return self._take("default")
        return Move(done=True, memo={"branch": None})

    @staticmethod
    def _take(branch: str) -> Move:
        return Move(openings=(Opening(branch),), memo={"branch": branch})


TYPES = (
    StepType(
        "switch",
        SwitchConfig,
        "Runs the first case whose condition holds.",
        container=Switch(),
        bodies=(BodyField("cases", "cases", required=True), BodyField("default", "step_or_steps")),
        conditions=("cases",),
    ),
)
