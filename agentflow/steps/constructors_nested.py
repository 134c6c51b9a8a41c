"""Typed constructors of steps that hold steps. Each gives the step that YAML would give."""

# ruff: noqa: A002  parameters are named as the fields are in YAML

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, Unpack

from agentflow.data import is_object
from agentflow.definition.faults import shown
from agentflow.definition.models import Step
from agentflow.steps.building import Common, Moment, Span, Steps, several, step
from agentflow.steps.deciding import after, cases_of, decided, literal, no_function, of_items, refused
from agentflow.steps.unset import UNSET

_NO: Any = UNSET
"""Default of fields that may be null: not given."""
Decider: TypeAlias = Callable[..., Any]
"""A function that decides. It is a `python` step of its own, `<id>_decides`, right before the step that it decides, and
is given the step's `with_` by name, and `ctx`."""


def condition(
    id: str,
    *,
    expression: str | bool | Decider,
    if_true: Steps | None = None,
    if_false: Steps | None = None,
    **common: Unpack[Common],
) -> Step:
    """Run one of two branches.

    Args:
        id: unique in its scope.
        expression: decides which branch runs; a function is given the step's `with_`, and `ctx`.
        if_true: what runs when it holds: one step, or a list.
        if_false: what runs when it doesn't.
        common: the common fields.
    """
    bodies = {"if_true": if_true, "if_false": if_false}
    if not callable(expression):
        return step(id, "condition", {"expression": expression}, common, bodies)
    return decided(
        id, "condition", expression, common, lambda it, after: step(id, "condition", {"expression": it}, after, bodies)
    )


def switch(
    id: str,
    *,
    cases: Sequence[tuple[str | bool, Steps]] | Mapping[Any, Steps],
    on: str | Decider = _NO,
    default: Steps | None = None,
    **common: Unpack[Common],
) -> Step:
    """Run the first case whose condition holds, or the case of a value.

    Args:
        id: unique in its scope.
        cases: pairs of a condition and what runs when it is the first that holds; with `on` a mapping of values.
        on: what has one of the values: a reference such as `{input.kind}`, or a function that gives it.
        default: what runs when none holds.
        common: the common fields.

    Raises:
        DefinitionError: `cases` and `on` don't go together.
    """
    if on is UNSET:
        pairs = cases_of(id, cases)
        bodies = {**{f"case[{number}]": steps for number, (_, steps) in enumerate(pairs)}, "default": default}
        return step(id, "switch", {"cases": [when for when, _ in pairs]}, common, bodies)
    if not is_object(cases):
        raise refused(f'"cases" of step "{id}" (switch) takes a mapping of values to steps where there is "on"')
    values: dict[Any, Steps] = dict(cases)

    def made(it: str, after: Common) -> Step:
        bodies: dict[str, Steps | None] = {f"case[{number}]": steps for number, steps in enumerate(values.values())}
        when = [f"{it} == {literal(id, value)}" for value in values]
        return step(id, "switch", {"cases": when}, after, {**bodies, "default": default})

    return decided(id, "switch", on, common, made) if callable(on) else made(on, common)


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
    in_: str | Sequence[Any] | Decider,
    steps: Steps,
    item: str = _NO,
    index: str = _NO,
    **common: Unpack[Common],
) -> Step:
    """Run steps once an item of a list.

    Args:
        id: unique in its scope.
        in_: the items: a template that gives a list, a list, or a function that gives one.
        steps: what runs for each of them; a function is called with the item, and the result is the
            list of what it gave.
        item: name under which templates see the item; default `item`.
        index: name under which templates see its number; default `index`.
        common: the common fields; `max_parallel` says how many items at once.
    """
    fields = {"item": item, "index": index}
    if callable(in_):
        return decided(id, "for_each", in_, common, lambda it, after: of_items(id, steps, {"in": it, **fields}, after))
    if not isinstance(in_, str | list | tuple):
        raise refused(f'"in_" of step "{id}" (for_each) takes a list, a template or a function, not {shown(in_)}')
    return of_items(id, steps, {"in": in_, **fields}, common)


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
    no_function(id, "while", "condition", condition, "until")
    fields = {"condition": condition, "max_iterations": max_iterations}
    return step(id, "while", fields, common, {"steps": several(steps)})


def until(
    id: str, *, condition: str | bool | Decider, steps: Steps, max_iterations: int | str, **common: Unpack[Common]
) -> Step:
    """Repeat steps until a condition holds.

    Args:
        id: unique in its scope.
        condition: looked at after each iteration; a function is called with what the last of the steps gave, as a step
            of its own after it.
        steps: what is repeated.
        max_iterations: reaching it fails the step.
        common: the common fields.
    """
    if callable(condition):
        listed: list[Step] = several(steps)
        decides, condition = after(id, condition, listed)
        steps = [*listed, decides]
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
    no_function(id, "poll", "until", until, "until")
    return step(id, "poll", {"interval": interval, "until": until}, common, {"body": body})
