"""What is said of commits that the store refuses, and of what isn't saved by that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agentflow.cli.console import Console
from agentflow.cli.errors import to_data
from agentflow.cli.format import one_line, plural
from agentflow.errors import StoreError

if TYPE_CHECKING:
    from agentflow.engine import Engine

NAMED = 5
"""Steps that aren't saved, told by name."""


def refused_data(error: StoreError, unsaved: Sequence[str]) -> dict[str, Any]:
    """Return why commits are refused, and the steps that have ended and aren't saved."""
    data = to_data(error)
    return {**data, "data": {**data.get("data", {}), "unsaved": list(unsaved)}}


def tell_lost(console: Console, engine: Engine) -> None:
    """Say what isn't saved of the runs of an engine that has closed; nothing when all is."""
    refused, lost = engine.core.health.refused, engine.host.lost
    if refused is not None and console.mode == "text":
        for line in not_saved(refused, lost):
            console.tell(line)
    elif refused is not None:
        console.tell_data({"error": refused_data(refused, lost)})


def not_saved(refused: StoreError, steps: Sequence[str]) -> list[str]:
    """Return the lines that say what isn't saved of the runs that are left here.

    Args:
        refused: why.
        steps: addresses of steps that have ended.
    """
    more = f" and {plural(len(steps) - NAMED, 'more step')}" if len(steps) > NAMED else ""
    which = f"{', '.join(steps[:NAMED])}{more}" if steps else "what has happened since"
    return [f"! not saved: {which}. It is done again when the run goes on", refusal(refused, goes_on=False)]


def refusal(error: StoreError, *, goes_on: bool = True) -> str:
    """Return the line that tells of a commit that was refused.

    Args:
        error: why.
        goes_on: whether it is tried again, here.
    """
    what = error.what.removesuffix(" Nothing of this change was saved.").rstrip(".")
    until = "there is room" if error.code == "AF-STORE-FULL" else "that is over"
    why = f" ({one_line(error.why)})" if error.why else ""
    told = f"! commits fail [{error.code}]: {what}{why}"
    return f"{told}. The run goes on by itself when {until}" if goes_on else told
