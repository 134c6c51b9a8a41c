"""Runs of other agents in a shared store: they are shown like one's own, and executed where their config is."""

from __future__ import annotations

from collections.abc import Sequence

from agentflow.cli.desk import Desk
from agentflow.config.plain import UNNAMED
from agentflow.engine.models import Run


def elsewhere(desk: Desk, run: Run) -> str | None:
    """Say whose a run is that isn't executed here, and what goes on with it; None for this config's own."""
    if run.agent in desk.project.agents:
        return None
    if run.agent == UNNAMED:
        return "it was started by a config without a name, and goes on with that one: -f FILE"
    return f'it is of agent "{run.agent}", and goes on with the config that has this name: -f FILE'


def several(runs: Sequence[Run]) -> bool:
    """Tell whether runs are of more than one agent, as far as that is known."""
    return len({run.agent for run in runs if run.agent}) > 1
