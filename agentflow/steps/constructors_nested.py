"""Typed constructors of steps that hold steps. Each gives the step that YAML would give."""

# ruff: noqa: A002  parameters are named as the fields are in YAML

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from agentflow.definition.models import Step
from agentflow.errors import DefinitionError, Problem
from agentflow.steps.building import Common, Moment, Span, Steps, several, step
from agentflow.steps.contract import UNSET

_NO: Any = UNSET
"""Default of fields that may be null: not given."""


def condition(
    id: str,
    *,
    expression: str | bool,
    if_true: Steps | None = None,
    if_false: Steps | None = None,
    **common: Unpack[Common],
) -> Step:
    """Run one of two branches.

    Args:
        id: unique in its scope.
        expression: decides which branch runs.
        if_true: what runs when it holds: one step, or a list.
        if_false: what runs when it doesn't.
        common: the common fields.
    """
    return step(id, "condition", {"expression": expression}, common, {"if_true": if_true, "if_false": if_false})


def switch(
    id: str,
    *,
    cases: Sequence[tuple[str | bool, Steps]],
    default: Steps | None = None,
    **common: Unpack[Common],
) -> Step:
    """Run the first case whose condition holds.

    Args:
        id: unique in its scope.
        cases: pairs of a condition and what runs when it is the first that holds.
        default: what runs when none holds.
        common: the common fields.
    """
    _check_cases(id, cases)
    bodies: dict[str, Steps | None] = {f"case[{number}]": steps for number, (_, steps) in enumerate(cases)}
    bodies["default"] = default
    return step(id, "switch", {"cases": [when for when, _ in cases]}, common, bodies)


def _check_cases(step_id: str, cases: object) -> None:
    pairs: list[Any] = list(cases) if isinstance(cases, list | tuple) else [None]  # pyright: ignore[reportUnknownArgumentType]  whatever was given
    if not all(isinstance(one, list | tuple) and len(one) == 2 for one in pairs):  # pyright: ignore[reportUnknownArgumentType]  the same
        what = f'"cases" of step "{step_id}" (switch) takes pairs of a condition and its steps'
        raise DefinitionError([Problem("AF-STEP-INVALID", what)])


def parallel(id: str, *, steps: Steps, **common: Unpack[Common]) -> Step:
    """Run steps side by side, in a scope of their own.

    Args:
        id: unique in its scope.
        steps: the steps.
        common: the common fields.
    """
    return step(id, "parallel", None, common, {"steps": several(steps)})


def sequence(id: str, *, steps: Steps, **common: Unpack[Common]) -> Step:
    """Run steps one after the other, in a scope of their own.

    Args:
        id: unique in its scope.
        steps: the steps.
        common: the common fields.
    """
    return step(id, "sequence", None, common, {"steps": several(steps)})


def saga(id: str, *, steps: Steps, **common: Unpack[Common]) -> Step:
    """Run steps whose completed ones are compensated in reverse order when one fails.

    Args:
        id: unique in its scope.
        steps: the steps, with `compensate` where there is something to undo.
        common: the common fields.
    """
    return step(id, "saga", None, common, {"steps": several(steps)})


def for_each(
    id: str,
    *,
    in_: str | Sequence[Any],
    steps: Steps,
    item: str = _NO,
    index: str = _NO,
    **common: Unpack[Common],
) -> Step:
    """Run steps once an item of a list.

    Args:
        id: unique in its scope.
        in_: the items: a template that gives a list, or a list.
        steps: what runs for each of them.
        item: name under which templates see the item; default `item`.
        index: name under which templates see its number; default `index`.
        common: the common fields; `max_parallel` says how many items at once.
    """
    return step(id, "for_each", {"in": in_, "item": item, "index": index}, common, {"steps": several(steps)})


def while_(
    id: str, *, condition: str | bool, steps: Steps, max_iterations: int | str, **common: Unpack[Common]
) -> Step:
    """Repeat steps as long as a condition holds.

    Args:
        id: unique in its scope.
        condition: looked at before each iteration.
        steps: what is repeated.
        max_iterations: reaching it fails the step.
        common: the common fields.
    """
    fields = {"condition": condition, "max_iterations": max_iterations}
    return step(id, "while", fields, common, {"steps": several(steps)})


def until(id: str, *, condition: str | bool, steps: Steps, max_iterations: int | str, **common: Unpack[Common]) -> Step:
    """Repeat steps until a condition holds.

    Args:
        id: unique in its scope.
        condition: looked at after each iteration.
        steps: what is repeated.
        max_iterations: reaching it fails the step.
        common: the common fields.
    """
    fields = {"condition": condition, "max_iterations": max_iterations}
    return step(id, "until", fields, common, {"steps": several(steps)})


def schedule(id: str, *, steps: Steps, after: Span = _NO, until: Moment = _NO, **common: Unpack[Common]) -> Step:
    """Run steps once, after a time.

    Args:
        id: unique in its scope.
        steps: what runs.
        after: how long to wait first.
        until: or until when.
        common: the common fields.
    """
    return step(id, "schedule", {"after": after, "until": until}, common, {"steps": several(steps)})


def recur(
    id: str,
    *,
    steps: Steps,
    interval: Span = _NO,
    cron: str = _NO,
    timezone: str = _NO,
    until: str | bool = _NO,
    max: int | str = _NO,
    **common: Unpack[Common],
) -> Step:
    """Run steps again and again.

    Args:
        id: unique in its scope.
        steps: what runs.
        interval: pause between the end of one iteration and the start of the next.
        cron: or a cron expression of 5 or 6 fields.
        timezone: time zone of `cron`; default UTC.
        until: condition, looked at after each iteration: true ends it.
        max: iterations at most.
        common: the common fields.
    """
    fields = {"interval": interval, "cron": cron, "timezone": timezone, "until": until, "max": max}
    return step(id, "recur", fields, common, {"steps": several(steps)})


def poll(id: str, *, body: Steps, until: str | bool, interval: Span = _NO, **common: Unpack[Common]) -> Step:
    """Repeat a step at an interval until its answer is as wanted.

    Args:
        id: unique in its scope.
        body: what is repeated: one step, or a list.
        until: condition over the body's result: true ends the poll.
        interval: pause between two looks; default 5 s.
        common: the common fields; `timeout` counts the whole time.
    """
    return step(id, "poll", {"interval": interval, "until": until}, common, {"body": body})
