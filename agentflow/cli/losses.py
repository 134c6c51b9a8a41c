"""What a run's steps lack though it went on: failures that were tolerated, and steps that a saga has undone. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentflow.cli.failures import cause
from agentflow.cli.format import plural
from agentflow.cli.tree import above_of
from agentflow.engine.read.inspect import StepView

NAMED = 5
"""Tolerated failures that are listed below a step."""
UNDONE = 40
"""Undone steps that are listed, with what undid them."""
UNDONE_TEXTS: Mapping[str | None, str] = {
    "compensated": "done, then undone",
    "compensation_failed": "done, and could not be undone",
}


def tolerated_inside(steps: Sequence[StepView]) -> dict[str, list[StepView]]:
    """Return, by the address of what is around them, the steps whose failure was tolerated."""
    found: dict[str, list[StepView]] = {}
    for step in steps:
        for above in above_of(step.address) if step.tolerated else ():
            found.setdefault(above, []).append(step)
    return found


def count(steps: Sequence[StepView]) -> str:
    """Say how many failures were tolerated: `6 failed (tolerated)`; nothing where there are none."""
    total = sum(step.tolerated for step in steps)
    return f"{total} failed (tolerated)" if total else ""


def tolerated_lines(address: str, steps: Sequence[StepView], more: str, most: int = NAMED) -> list[str]:
    """Return a line a tolerated failure inside a step.

    Args:
        address: of the step around them.
        steps: the steps that failed.
        more: the command that lists all.
        most: how many are listed.
    """
    lines: list[str] = []
    for step in steps[:most]:
        name = step.address.removeprefix(address).lstrip("/")
        why = f"{plural(step.tolerated, 'failure')} tolerated in its run" if step.child is not None else "failed"
        lines.append(f"    ✘ {name}  {cause(step.error, 200) if step.error is not None else why}")
    if len(steps) > most:
        lines.append(f"    … and {len(steps) - most} more: {more}")
    return lines


def is_undoing(step: StepView) -> bool:
    """Tell whether a saga has undone a step, or the step is what undid one."""
    return step.reason in UNDONE_TEXTS or "#compensate" in step.address
