"""Completion of arguments in a shell. Never fails: a shell must not see an error while somebody types."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import typer

from agentflow.cli.shown import clean


def _quiet(source: Callable[[Asked], Iterable[str]]) -> Callable[[typer.Context, str], list[str]]:
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            asked = Asked(incomplete, ctx.params.get("config"), ctx.params.get("store"), ctx.params.get("workflow"))
            return [found for found in source(asked) if found.startswith(incomplete) and found == clean(found)]
        except Exception:  # whatever is wrong, the command itself will say it
            return []

    return complete


class Asked(NamedTuple):
    """What is being typed, and what the command line says already."""

    incomplete: str
    config: str | None = None
    store: str | None = None
    workflow: str | None = None


@_quiet
def workflows(asked: Asked) -> Iterable[str]:
    """Return ids of workflows of the config."""
    from agentflow.cli import known  # noqa: PLC0415  only while completing

    return sorted(known.workflows(asked.config))


@_quiet
def entry_points(asked: Asked) -> Iterable[str]:
    """Return ids of entry points of the config, of one workflow if it is named."""
    from agentflow.cli import known  # noqa: PLC0415  only while completing

    flows = known.workflows(asked.config)
    wanted = [flows[asked.workflow]] if asked.workflow in flows else flows.values()
    return sorted({point for flow in wanted for point in known.entry_points(flow)})


@_quiet
def run_ids(asked: Asked) -> Iterable[str]:
    """Return endings of the newest runs."""
    from agentflow.cli.actions.runs import known_runs  # noqa: PLC0415  only while completing

    return ["@last", *known_runs(asked.config, asked.store)]


@_quiet
def wait_ids(asked: Asked) -> Iterable[str]:
    """Return endings of open waits."""
    from agentflow.cli.actions.waits import known_waits  # noqa: PLC0415  only while completing

    return known_waits(asked.config, asked.store)


@_quiet
def step_addresses(asked: Asked) -> Iterable[str]:
    """Return the steps of the config, nested ones with what holds them."""
    from agentflow.cli import known  # noqa: PLC0415  only while completing

    return sorted({step for flow in known.workflows(asked.config).values() for step in known.steps(flow)})


@_quiet
def step_types(asked: Asked) -> Iterable[str]:
    """Return names of step types."""
    from agentflow.steps.registry import names  # noqa: PLC0415  only while completing

    return names()


@_quiet
def codes(asked: Asked) -> Iterable[str]:
    """Return error codes."""
    from agentflow.codes import CODES  # noqa: PLC0415  only while completing

    return sorted(CODES)


@_quiet
def run_states(asked: Asked) -> Iterable[str]:
    """Return the states of a run."""
    from agentflow.cli.states import STATES  # noqa: PLC0415  only while completing

    return STATES


@_quiet
def templates(asked: Asked) -> Iterable[str]:
    """Return names of templates."""
    from agentflow.cli.actions.init import TEMPLATES  # noqa: PLC0415  only while completing

    return TEMPLATES


@_quiet
def graph_formats(asked: Asked) -> Iterable[str]:
    """Return the formats of a graph."""
    return ("text", "svg", "mermaid", "dot", "json")


@_quiet
def checks(asked: Asked) -> Iterable[str]:
    """Return names of the doctor's checks."""
    from agentflow.cli.checks import CHECKS  # noqa: PLC0415  only while completing

    return CHECKS
