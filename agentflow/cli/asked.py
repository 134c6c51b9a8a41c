"""What people have said at a step's gates: who let it through, when, and with what."""

from __future__ import annotations

import time

from agentflow.cli.desk import Desk
from agentflow.cli.format import ago, answer_line, one_line
from agentflow.cli.wait_texts import who
from agentflow.engine.models import WaitView, wait_view

_OF_STEPS = ("gate", "budget")
"""Details that waits have which ask about a step, instead of being what the step is for."""


async def asked_views(desk: Desk, run_id: str) -> list[WaitView]:
    """Return what was asked about the steps of a run and was answered, oldest first."""
    found = [wait_view(each) for each in await desk.reader.store.list_tasks(run_id=run_id, open_only=False)]
    views = [
        view for view in found if view.answered_at is not None and any(key in view.details for key in _OF_STEPS)
    ]  # fmt: skip
    return sorted(views, key=lambda view: view.answered_at or 0.0)


async def asked_lines(desk: Desk, run_id: str, address: str) -> list[str]:
    """Return the lines that tell what was asked about a step and what was answered, oldest first."""
    views = [view for view in await asked_views(desk, run_id) if view.step == address]
    now, lines = time.time(), list[str]()
    for view in views:
        answered = f"{who(view.by, view.door)} {ago(view.answered_at or now, now)}"
        lines += [f"  {one_line(view.message, 100)}", f"    {answered}: {answer_line(view.answer)}"]
    return ["", "asked", *lines] if lines else []
