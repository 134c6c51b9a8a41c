"""`poll`: a step repeated at an interval until its answer is as wanted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from agentflow.definition.durations import parse_duration
from agentflow.steps.containers import DONE, Bodies, Frame, Move, Opening
from agentflow.steps.contract import BodyField, StepType


class PollConfig(BaseModel):
    """Fields of a poll, besides `body`. The step's `timeout` counts the whole time."""

    model_config = ConfigDict(extra="forbid")

    interval: Any = 5
    """Pause between two looks, a duration."""
    until: str | bool
    """Condition over the body's result, `{steps.body}`: true ends the poll."""


class Poll:
    """Opens its body, looks at the answer, waits, opens it again."""

    def start(self, frame: Frame) -> Move:
        """Look for the first time."""
        return Move(openings=(Opening("body"),), memo={"open": True})

    def ended(self, frame: Frame, label: str) -> Move:
        """End when the condition holds, else wait."""
        if frame.test("until", label=label):
            return DONE
        due = frame.now() + parse_duration(frame.field("interval", 5))
        return Move(due=due, memo={"due": due})

    def fired(self, frame: Frame) -> Move:
        """Look again."""
        return self.start(frame)

    def restore(self, frame: Frame, labels: Collection[str]) -> Sequence[Opening]:
        """Open the body if a look was under way."""
        return (Opening("body"),) if frame.memo.get("open") else ()

    def rewind(self, memo: dict[str, Any], done: Collection[str]) -> dict[str, Any] | None:
        """Begin anew: a look tells what is so now."""
        return None

    def result(self, bodies: Bodies) -> Any:
        """Return the last answer."""
        return bodies.result_of("body")


TYPES = (
    StepType(
        "poll",
        PollConfig,
        "Repeats a step at an interval until a condition holds.",
        container=Poll(),
        bodies=(BodyField("body", "step_or_steps", required=True),),
        conditions=("until",),
        whole_timeout=True,
    ),
)
