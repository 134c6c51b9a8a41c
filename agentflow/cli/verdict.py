"""What commands say of a config before they use it: the warnings in short, and which workflows have errors."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from agentflow.cli.console import Console
from agentflow.cli.errors import head, printable, tell_lines
from agentflow.cli.format import plural
from agentflow.errors import Problem

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


def tell_broken(console: Console, config: Config, flags: str = "") -> None:
    """Say which workflows of a config have errors, and that the command goes on without them.

    Args:
        console: where to.
        config: the config.
        flags: options to repeat in the command that tells the errors.
    """
    if not config.broken or console.quiet:
        return
    names = [f'"{name}"' for name in config.broken]
    listed = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    one = len(names) == 1
    what = f"workflow {listed} has errors and is left out" if one else f"workflows with errors are left out: {listed}"
    tell_lines(console, printable([f"! {what}; see: agentflow validate{flags}"]))
