"""`schedule` and `recur`: steps once after a time, or again and again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agentflow.definition.durations import parse_duration
from agentflow.definition.times import next_cron, parse_time
from agentflow.errors import Failure
from agentflow.steps.containers import DONE, Bodies, Frame, Move, Opening
from agentflow.steps.contract import BodyField, StepType
from agentflow.steps.loop import rewound


class ScheduleConfig(BaseModel):
    """Fields of `schedule`, besides `steps`: after which time they run, once."""

    model_config = ConfigDict(extra="forbid")

    after: Any = None
    """A duration."""
    until: Any = None
    """A time, ISO 8601."""


class RecurConfig(BaseModel):
    """Fields of `recur`, besides `steps`: when they run, and when that ends."""

    model_config = ConfigDict(extra="forbid")

    interval: Any = None
    """Pause between the end of one iteration and the start of the next, a duration."""
    cron: str | None = None
    """Instead of an interval: a cron expression of 5 or 6 fields."""
    timezone: str = "UTC"
    """Time zone of `cron`."""
    until: str | bool | None = None
    """Condition, looked at after each iteration: true ends it."""
    max: int | None = Field(default=None, ge=1)
    """Iterations at most."""


_ENDLESS = Failure(
    "AF-LOOP-ENDLESS",
    'its interval is 0, and neither "max" nor "until" ends it: a loop has an end',
    kind="invalid",
    retryable=False,
    hint="max: 100",
)
"""Of an interval that is computed: of others `validate` says so."""


class Schedule:
    """Waits for a time, then opens its body once."""

    def start(self, frame: Frame) -> Move:
        """Store the time, once, and wait for it."""
        until = frame.field("until")
        due = parse_time(until) if until is not None else frame.now() + _pause(frame, "after")
        return Move(due=due, memo={"due": due})

    def ended(self, frame: Frame, label: str) -> Move:
        """End with the body."""
        return DONE

    def fired(self, frame: Frame) -> Move:
        """Open the body."""
        return Move(openings=(Opening("steps"),), memo={"open": True})

    def restore(self, frame: Frame, labels: Collection[str]) -> Sequence[Opening]:
        """Open the body if its time had come."""
        return (Opening("steps"),) if frame.memo.get("open") else ()

    def rewind(self, memo: dict[str, Any], done: Collection[str]) -> dict[str, Any] | None:
        """Don't wait for the time again, if it had come."""
        return memo if memo.get("open") else None

    def result(self, bodies: Bodies) -> Any:
        """Return the list of the one iteration."""
        return [bodies.result_of("steps")]


class Recur:
    """Opens an iteration at each of its times."""

    def start(self, frame: Frame) -> Move:
        """Open the first iteration at once, or at the first time of the cron expression."""
        if frame.field("cron"):
            return self._wait(frame, 0)
        return self._open(0)

    def ended(self, frame: Frame, label: str) -> Move:
        """End, or wait for the next time."""
        done = frame.memo["i"] + 1
        limit = frame.field("max")
        if limit is not None and done >= int(limit):
            return DONE
        if frame.field("until") is not None and frame.test("until", label=label):
            return DONE
        return self._wait(frame, done)

    def fired(self, frame: Frame) -> Move:
        """Open the next iteration."""
        return self._open(frame.memo["next"])

    def restore(self, frame: Frame, labels: Collection[str]) -> Sequence[Opening]:
        """Open every iteration so far: the result lists them all."""
        reached = frame.memo.get("i", -1) + 1
        return [Opening("steps", f"[{n}]", {"index": n}) for n in range(reached)]

    def rewind(self, memo: dict[str, Any], done: Collection[str]) -> dict[str, Any] | None:
        """Go on with the first iteration that isn't done."""
        return rewound(memo, done)

    def result(self, bodies: Bodies) -> Any:
        """Return the list of the iterations' results."""
        return [bodies.result_of("steps", f"[{n}]") for n in range(bodies.memo.get("i", -1) + 1)]

    @staticmethod
    def _open(number: int) -> Move:
        return Move(openings=(Opening("steps", f"[{number}]", {"index": number}),), memo={"i": number})

    @staticmethod
    def _wait(frame: Frame, number: int) -> Move:
        cron = frame.field("cron")
        if cron:
            due = next_cron(cron, frame.field("timezone", "UTC"), frame.now())
        else:
            pause = _pause(frame, "interval")
            if pause == 0 and frame.field("max") is None and frame.field("until") is None:
                return Move(failure=_ENDLESS)
            due = frame.now() + pause
        return Move(due=due, memo={"i": number - 1, "next": number, "due": due})


def _pause(frame: Frame, name: str) -> float:
    """Return a computed duration; null is none at all."""
    given = frame.field(name)
    return 0.0 if given is None else parse_duration(given)


_BODIES = (BodyField("steps", "steps", required=True),)

TYPES = (
    StepType("schedule", ScheduleConfig, "Runs steps once, after a time.", container=Schedule(), bodies=_BODIES),
    StepType(
        "recur",
        RecurConfig,
        "Runs steps again and again, by an interval or a cron expression.",
        container=Recur(),
        bodies=_BODIES,
        conditions=("until",),
        raw=("cron", "timezone"),
    ),
)
