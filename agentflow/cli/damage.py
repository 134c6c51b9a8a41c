"""What is said of stored results that are damaged."""

from __future__ import annotations

from agentflow.cli.desk import Desk
from agentflow.engine.models import Run
from agentflow.engine.read.inspect import RunView, StepView

CODE = "AF-STORE-DAMAGED"
DAMAGED = "damaged: what is stored isn't what the step gave"


def damaged(view: RunView) -> list[StepView]:
    """Return the steps whose stored results are damaged."""
    return [step for step in view.steps if step.damaged]


def damage_lines(desk: Desk, run: Run, view: RunView) -> list[str]:
    """Say which stored results are damaged, and what helps."""
    steps = damaged(view)
    if not steps:
        return []
    short = desk.short(run.root_id)
    named = ", ".join(f'"{step.address}"' for step in steps[:8]) + (f" and {len(steps) - 8} more" * (len(steps) > 8))
    what = "the stored result of step" if len(steps) == 1 else "the stored results of steps"
    again = desk.command(f"runs retry {short}")
    cancel = "" if run.ended else f"{desk.command(f'runs cancel {short}')}, then "
    return [
        f"! {what} {named} {'is' if len(steps) == 1 else 'are'} damaged [{CODE}]",
        f"  fix: {desk.command('store restore FILE')} puts a backup back; or run again: {cancel}{again}",
    ]
