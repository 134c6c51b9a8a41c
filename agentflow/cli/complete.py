"""Completion of arguments in a shell. Never fails: a shell must not see an error while somebody types."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps

from agentflow.cli.shown import clean


def _quiet(source: Callable[[str], Iterable[str]]) -> Callable[[str], list[str]]:
    @wraps(source)
    def complete(incomplete: str) -> list[str]:
        try:
            return [found for found in source(incomplete) if found.startswith(incomplete) and found == clean(found)]
        except Exception:  # whatever is wrong, the command itself will say it
            return []

    return complete


@_quiet
def workflows(incomplete: str) -> Iterable[str]:
    """Return ids of workflows in the nearest config."""
    from agentflow.config import load_config  # noqa: PLC0415  only while completing

    return sorted(load_config().workflows)


@_quiet
def entry_points(incomplete: str) -> Iterable[str]:
    """Return ids of entry points in the nearest config."""
    from agentflow.config import load_config  # noqa: PLC0415  only while completing

    return sorted({point.id for workflow in load_config().workflows.values() for point in workflow.entry_points})


@_quiet
def run_ids(incomplete: str) -> Iterable[str]:
    """Return endings of the newest runs."""
    from agentflow.cli.actions.runs import known_runs  # noqa: PLC0415  only while completing

    return ["@last", *known_runs()]


@_quiet
def wait_ids(incomplete: str) -> Iterable[str]:
    """Return endings of open waits."""
    from agentflow.cli.actions.waits import known_waits  # noqa: PLC0415  only while completing

    return known_waits()


@_quiet
def step_addresses(incomplete: str) -> Iterable[str]:
    """Return ids of top-level steps in the nearest config."""
    from agentflow.config import load_config  # noqa: PLC0415  only while completing

    return sorted({step.id for workflow in load_config().workflows.values() for step in workflow.steps})


@_quiet
def step_types(incomplete: str) -> Iterable[str]:
    """Return names of step types."""
    from agentflow.steps.registry import names  # noqa: PLC0415  only while completing

    return names()


@_quiet
def codes(incomplete: str) -> Iterable[str]:
    """Return error codes."""
    from agentflow.codes import CODES  # noqa: PLC0415  only while completing

    return sorted(CODES)


@_quiet
def run_states(incomplete: str) -> Iterable[str]:
    """Return the states of a run."""
    from agentflow.cli.states import STATES  # noqa: PLC0415  only while completing

    return STATES


@_quiet
def templates(incomplete: str) -> Iterable[str]:
    """Return names of templates."""
    from agentflow.cli.actions.init import TEMPLATES  # noqa: PLC0415  only while completing

    return TEMPLATES


@_quiet
def graph_formats(incomplete: str) -> Iterable[str]:
    """Return the formats of a graph."""
    return ("text", "svg", "mermaid", "dot", "json")


@_quiet
def checks(incomplete: str) -> Iterable[str]:
    """Return names of the doctor's checks."""
    from agentflow.cli.checks import CHECKS  # noqa: PLC0415  only while completing

    return CHECKS
