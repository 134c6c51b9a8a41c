"""What `run` says of its config: the warnings in short, and in which workflow the errors are."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from agentflow.cli.console import Console
from agentflow.cli.errors import head, printable, tell_lines
from agentflow.cli.format import plural
from agentflow.errors import DefinitionError, Problem

if TYPE_CHECKING:
    from agentflow.config import Config

_SHOWN = 5
"""So many warnings are told before a run; `validate` tells them all."""
_TOLD_ELSEWHERE = "AF-SKILL-MISSING"
"""The engine tells it of a run, with the requirements that aren't native."""


def tell_warnings(console: Console, config: Config, workflow: str, flags: str) -> None:
    """Write what checking warns of, as far as it concerns a workflow, a line each.

    Args:
        console: where to.
        config: the config.
        workflow: the workflow that is wanted.
        flags: options to repeat in the command that tells all.
    """
    if console.quiet or console.mode != "text" or not config.warnings:
        return
    others = config.workflows.keys() - _reached(config, workflow)
    warnings = [one for one in config.warnings if one.workflow not in others and one.code != _TOLD_ELSEWHERE]
    lines = [_line(one) for one in warnings[:_SHOWN]]
    if more := sum(one.count for one in warnings[_SHOWN:]):
        lines.append(f"! {plural(more, 'more warning')}: agentflow validate{flags}")
    tell_lines(console, printable(lines))


def _line(problem: Problem) -> str:
    place = problem.place
    at = f"{place.file}:{place.line}:{place.column}: " if place is not None else ""
    more = problem.label or problem.hint
    return head(problem.code, f"{at}{problem.message}" + (f"; {more}" if more else ""), problem.severity)


def _reached(config: Config, workflow: str) -> Collection[str]:
    """Return a workflow with those that it calls by name, and that they call."""
    from agentflow.definition.check.calls import calls_of  # noqa: PLC0415  only where there are warnings

    reached, stack = {workflow}, [workflow]
    while stack:
        called = {name for name in calls_of(config.workflows[stack.pop()]) if name in config.workflows} - reached
        reached |= called
        stack += called
    return reached


def blame(error: DefinitionError, workflow: str | None) -> DefinitionError:
    """Return the error of a config with the workflows that it is in, where that isn't the one that is wanted."""
    errors = [problem for problem in error.problems if problem.severity == "error" and problem.count == 1]
    broken = list(dict.fromkeys(problem.workflow for problem in errors))
    if workflow is None or workflow in broken or None in broken:
        return error
    names = ", ".join(f'"{name}"' for name in broken[:3]) + (" and others" if len(broken) > 3 else "")
    told = DefinitionError(error.problems, error.what)
    told.hint = (
        f'no error is in "{workflow}" itself, but in {names}: a config is loaded as a whole; '
        f'correct {"it" if len(broken) == 1 else "them"}, or run "{workflow}" from a file of its own'
    )
    return told
