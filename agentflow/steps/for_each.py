"""`for_each`: steps once an item, side by side up to a limit; also as a field that wraps any step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agentflow.data import is_array
from agentflow.errors import Failure
from agentflow.steps.containers import DONE, NOTHING, Bodies, Frame, Move, Opening
from agentflow.steps.contract import BodyField, StepType


class ForEachConfig(BaseModel):
    """Fields of a loop over items, besides `steps`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    in_: Any = Field(alias="in")
    """The items: a template that gives a list, or a list."""
    item: str = "item"
    """Name under which templates see the item."""
    index: str = "index"
    """Name under which templates see the item's number, from 0."""


class ForEach:
    """Opens an iteration an item, in order; the result is the list of the iterations' results."""

    def start(self, frame: Frame) -> Move:
        """Take the items, once, and open the first ones."""
        items = frame.field("in")
        if not is_array(items):
            return Move(
                failure=Failure(
                    "AF-LOOP-ITEMS",
                    f"for_each needs a list, and got {_kind(items)}",
                    kind="reference",
                    retryable=False,
                    hint="loop over a list, such as [1, 2], or a reference to one",
                )
            )
        if not items:
            return Move(done=True, memo={"items": items}, total=0)
        openings = self._openings(frame, items, 0, frame.max_parallel)
        return Move(openings=openings, memo={"items": items}, total=len(items))

    def ended(self, frame: Frame, label: str) -> Move:
        """Open the next iteration, or end after the last."""
        items = frame.memo["items"]
        if frame.closed == len(items):
            return DONE
        if frame.opened == len(items):
            return NOTHING
        room = frame.max_parallel - (frame.opened - frame.closed)
        return Move(openings=self._openings(frame, items, frame.opened, room))

    def fired(self, frame: Frame) -> Move:
        """Do nothing: loops over items set no timers."""
        return NOTHING

    def restore(self, frame: Frame, labels: Collection[str]) -> Sequence[Opening]:
        """Open every iteration up to the last that has rows."""
        items: list[Any] = frame.memo.get("items", [])
        places = {number: place for place, number in enumerate(_order(frame.memo, len(items)), 1)}
        reached = max((places.get(int(label[1:-1]), 0) for label in labels if label.startswith("[")), default=0)
        begun = len(frame.memo.get("kept", ())) + frame.max_parallel
        return self._openings(frame, items, 0, max(reached, min(begun, len(items))))

    def rewind(self, memo: dict[str, Any], done: Collection[str]) -> dict[str, Any] | None:
        """Begin with the iterations that are done: the others come after them, up to the limit side by side."""
        kept = sorted(int(label[1:-1]) for label in done)
        return {"items": memo["items"], "kept": kept} if memo.get("items") else None

    def result(self, bodies: Bodies) -> Any:
        """Return the iterations' results in the order of the items."""
        items: list[Any] = bodies.memo.get("items", [])
        return [bodies.result_of("steps", f"[{number}]") for number in range(len(items))]

    @staticmethod
    def _openings(frame: Frame, items: list[Any], first: int, room: int) -> list[Opening]:
        item, index = frame.field("item", "item"), frame.field("index", "index")
        order = _order(frame.memo, len(items))[first : first + max(room, 0)]
        return [Opening("steps", f"[{n}]", {item: items[n], index: n}) for n in order]


def _order(memo: Mapping[str, Any], count: int) -> Sequence[int]:
    """Return the items' numbers in the order in which iterations are opened: those that a retry keeps come first."""
    kept: list[int] = memo.get("kept", [])
    known = set(kept)
    return [*kept, *(n for n in range(count) if n not in known)] if kept else range(count)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    return {"dict": "an object", "str": "text"}.get(type(value).__name__, "a number")


TYPES = (
    StepType(
        "for_each",
        ForEachConfig,
        "Runs steps once an item of a list.",
        container=ForEach(),
        bodies=(BodyField("steps", "steps", required=True),),
        raw=("item", "index"),
    ),
)
