"""`while` and `until`: steps repeated by a condition."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agentflow.errors import Failure
from agentflow.steps.containers import DONE, NOTHING, Bodies, Frame, Move, Opening
from agentflow.steps.contract import BodyField, StepType


class LoopConfig(BaseModel):
    """Fields of a loop, besides `steps`."""

    model_config = ConfigDict(extra="forbid")

    condition: str | bool
    """`while`: go on as long as it holds (looked at before an iteration). `until`: stop when it holds (after one)."""
    max_iterations: int = Field(ge=1)
    """Reaching it fails the step."""


class Loop:
    """Opens one iteration after the other; the result is the last iteration's."""

    def start(self, frame: Frame) -> Move:
        """Open the first iteration, if there is to be one."""
        if frame.type == "while" and not self._goes_on(frame, "", 0):
            return Move(done=True, memo={"i": -1})
        return self._open(0)

    def ended(self, frame: Frame, label: str) -> Move:
        """Decide on the next iteration, seeing the steps of the one that ended."""
        done = frame.memo["i"] + 1
        if frame.type == "while":
            if not self._goes_on(frame, label, done):
                return DONE
        elif frame.test("condition", label=label):
            return DONE
        limit = int(frame.field("max_iterations"))
        if done >= limit:
            return Move(
                failure=Failure(
                    "AF-LOOP-LIMIT",
                    f"the loop reached max_iterations ({limit}) and its condition still asks for more",
                    kind="invalid",
                    retryable=False,
                    hint="raise max_iterations, or mend the condition",
                )
            )
        return self._open(done)

    def fired(self, frame: Frame) -> Move:
        """Do nothing: loops set no timers."""
        return NOTHING

    def restore(self, frame: Frame, labels: Collection[str]) -> Sequence[Opening]:
        """Open every iteration so far: the current one sees the one before it, and a saga undoes them all."""
        reached = frame.memo.get("i", -1) + 1
        return [Opening("steps", f"[{n}]", {"index": n}) for n in range(reached)]

    def rewind(self, memo: dict[str, Any], done: Collection[str]) -> dict[str, Any] | None:
        """Go on with the first iteration that isn't done."""
        return rewound(memo, done)

    def result(self, bodies: Bodies) -> Any:
        """Return the last iteration's results, or null."""
        number = bodies.memo.get("i", -1)
        return bodies.result_of("steps", f"[{number}]") if number >= 0 else None

    @staticmethod
    def _goes_on(frame: Frame, label: str, number: int) -> bool:
        """Ask `while` before an iteration: its number is known, the steps are those of the one before."""
        return frame.test("condition", label=label, bindings={"index": number})

    @staticmethod
    def _open(number: int) -> Move:
        return Move(openings=(Opening("steps", f"[{number}]", {"index": number}),), memo={"i": number})


def rewound(memo: dict[str, Any], done: Collection[str]) -> dict[str, Any] | None:
    """Return the memo of a loop that does one iteration after the other, back at the first that isn't done."""
    reached: int = memo.get("i", -1)
    first = next((n for n in range(reached + 1) if f"[{n}]" not in done), reached)
    return {"i": first} if first >= 0 else None


_BODIES = (BodyField("steps", "steps", required=True),)

TYPES = tuple(
    StepType(name, LoopConfig, summary, container=Loop(), bodies=_BODIES, conditions=("condition",))
    for name, summary in (
        ("while", "Repeats steps as long as a condition holds."),
        ("until", "Repeats steps until a condition holds."),
    )
)
