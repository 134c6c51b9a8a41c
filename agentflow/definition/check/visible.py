"""What a reference means: which step it names, what is declared about the value, and how to say what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from agentflow.data import is_object
from agentflow.definition.check.info import EnvInfo
from agentflow.definition.check.report import Report
from agentflow.definition.check.shapes import Schema, result_schema
from agentflow.definition.check.sites import REPEATING
from agentflow.definition.inputs import is_open
from agentflow.definition.models import Step
from agentflow.definition.scopes import Located, Scope

_BRANCHES = frozenset({"$ref", "anyOf", "oneOf", "allOf", "if"})
"""Keywords with which a schema says what it is in another place."""


class Found(NamedTuple):
    """The step that a reference names."""

    located: Located
    source: int | None
    """Number of the step, in that scope, inside which the reference stands."""
    sure: bool
    """No order is asked for: a hook, a loop's iteration before, a loop's condition."""


class Missing(NamedTuple):
    """A part of a path that its schema doesn't have."""

    name: str
    """The part."""
    depth: int
    """How many parts come before it."""
    known: Collection[str]
    """What there is instead."""
    kind: str | None = None
    """What the value is, if it is no object."""
    steps: bool = False
    """The parts are steps of a container."""


def resolve(step_id: str, here: Located | None, main: Scope, inside: Sequence[Scope] = ()) -> Found | None:
    """Find a step as references do: from the inside outwards.

    Args:
        step_id: the name.
        here: the step where the reference stands; None for the workflow's own templates.
        main: the workflow's own steps.
        inside: scopes of the step's own bodies that can be seen too.
    """
    for scope in inside:
        if step_id in scope.ids:
            return Found(scope.located[scope.ids[step_id]], None, sure=True)
    if here is None:
        return Found(main.located[main.ids[step_id]], None, sure=True) if step_id in main.ids else None
    scope: Scope | None = here.scope
    source: int | None = here.number
    sure = False
    while scope is not None:
        sure = sure or scope.kind in ("hook", "compensate")
        if step_id in scope.ids:
            repeated = scope.kind == "body" and scope.owner is not None and scope.owner.step.type in REPEATING
            return Found(scope.located[scope.ids[step_id]], source, sure=sure or repeated or source is None)
        owner = scope.owner
        source = owner.number if owner is not None and owner.scope is scope.outer else None
        scope = scope.outer
    return None


def visible(here: Located | None, main: Scope, inside: Sequence[Scope] = ()) -> Iterator[str]:
    """Yield the ids that references can name from a place, the inner ones first."""
    for scope in inside:
        yield from scope.ids
    scope = here.scope if here is not None else main
    while scope is not None:
        yield from scope.ids
        scope = scope.outer


def elsewhere(step_id: str, homes: Sequence[Located], here: Located | None) -> tuple[str | None, str | None]:
    """Return label and hint for a step that exists but can't be seen."""
    if not homes:
        return None, None
    home = homes[0]
    chain = [step_id]
    scope = home.scope
    scopes: list[Scope] = []
    around = here.scope if here is not None else None
    while around is not None:
        scopes.append(around)
        around = around.outer
    plain = True
    while scope.owner is not None and scope not in scopes:
        plain = plain and scope.key == "steps" and scope.kind == "body" and scope.owner.step.type not in REPEATING
        plain = plain and scope.owner.step.type not in ("for_each", "schedule") and scope.owner.step.for_each is None
        chain.append(scope.owner.step.id)
        scope = scope.owner.scope
    if len(chain) == 1:
        return f'"{step_id}" can\'t be seen from here', None
    chain.reverse()
    hint = (
        f"write {{steps.{'.'.join(chain)}}}" if plain else f'only the result of "{chain[0]}" can be read from outside'
    )
    return f'"{step_id}" is inside "{chain[-2]}"', hint


def declared(
    schema: Schema | None, path: Sequence[str | int], env: EnvInfo, memo: dict[int, Schema | None]
) -> Schema | Missing | None:
    """Follow a path through a schema.

    Returns:
        The schema of what stands there; the first part that can't be there; None where nothing is known.
    """
    for depth, part in enumerate(path):
        if schema is None or not _BRANCHES.isdisjoint(schema):
            return None
        types = schema.get("type")
        if isinstance(part, int) or part.isdecimal():
            schema = schema.get("items") if types == "array" and is_object(schema.get("items")) else None
            continue
        if isinstance(types, str) and types != "object":
            return Missing(part, depth, (), types)
        properties = schema.get("properties")
        if not is_object(properties):
            return None
        if part not in properties:
            return None if is_open(schema) else Missing(part, depth, properties.keys(), steps=_holds_steps(schema))
        schema = _below(properties[part], env, memo)
    return schema


def _holds_steps(schema: Schema) -> bool:
    properties = schema.get("properties")
    return is_object(properties) and any(is_object(one) and "x-step" in one for one in properties.values())


def _below(found: Any, env: EnvInfo, memo: dict[int, Schema | None]) -> Schema | None:
    if not is_object(found):
        return None
    step = found.get("x-step")
    return schema_of(step, env, memo) if isinstance(step, Step) else found


def schema_of(step: Step, env: EnvInfo, memo: dict[int, Schema | None]) -> Schema | None:
    """Return the schema of a step's result, remembered by step."""
    key = id(step)
    if key not in memo:
        memo[key] = result_schema(step, env)
    return memo[key]


def guess(missing: Missing, report: Report) -> tuple[str | None, str | None]:
    """Return label and hint for a part that isn't declared."""
    label = report.meant(missing.name, missing.known)
    if label is not None:
        return label, None
    if missing.kind is not None:
        return f"it is declared as {missing.kind}", None
    if not missing.known:
        return None, None
    shown = ", ".join(islice(missing.known, 5)) + (", …" if len(missing.known) > 5 else "")
    return None, f"there is {shown}"
