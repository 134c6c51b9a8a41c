"""What all constructors of steps share: the common fields, nested steps, requirements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, TypedDict, cast

from pydantic import BaseModel

from agentflow.data import is_array, is_object, normalise
from agentflow.definition import short
from agentflow.definition.budget import Estimate
from agentflow.definition.faults import shown
from agentflow.definition.gates import Approve, Review, short_gate
from agentflow.definition.json_words import is_short
from agentflow.definition.models import (
    Body,
    Concurrency,
    Execution,
    ForEachField,
    OnError,
    OnErrorSiblings,
    Requirement,
    RetryPolicy,
    Step,
    StepLike,
    as_steps,
)
from agentflow.definition.short_schema import TYPES, widened
from agentflow.definition.type_schema import is_type, type_schema
from agentflow.errors import DefinitionError, Problem
from agentflow.steps.unset import UNSET
from agentflow.unfit import UnfitError

Steps: TypeAlias = StepLike | Sequence[StepLike]
"""Nested steps: one step, whose result is the body's result, or a list, which gives a map of results.

A function stands for a `python` step that calls it.
"""
Schema: TypeAlias = Mapping[str, Any] | type[Any]
"""A JSON Schema, or a type that has one: a pydantic model, a dataclass, a TypedDict, `int`, `list[str]`."""
Span: TypeAlias = float | str | timedelta
"""A duration: seconds, a text such as `5m`, or a template."""
Moment: TypeAlias = float | str | datetime
"""A point in time: ISO 8601, seconds or milliseconds since the epoch, or a template."""


class Common(TypedDict, total=False):
    """The fields that steps of all types have. Words that Python forbids end in an underscore."""

    label: str
    """Name for people; default: the id."""
    depends_on: str | StepLike | Sequence[str | StepLike]
    """Siblings that must be completed or skipped first: their ids, or they themselves."""
    depends_on_any: str | StepLike | Sequence[str | StepLike]
    """Siblings of which the first completed one is enough."""
    execution: Execution
    """Order without explicit dependencies."""
    requires: Requirement | str | Sequence[Requirement | str]
    """Native skills and connections that the step needs."""
    with_: Mapping[str, Any]
    """Values computed first, visible as `{with.x}`."""
    if_: str | bool
    """Condition: the step runs when it is true, else it is skipped."""
    skip_if: str | bool
    """Condition: the step is skipped when it is true."""
    retry: RetryPolicy | Mapping[str, Any] | int | bool
    """How failed attempts are repeated; a number: attempts in all; False: not at all."""
    timeout: Span
    """Longest time of one attempt; of a wait: the whole time."""
    on_error: OnError
    """What a final failure does."""
    delay: Span
    """Pause before the step."""
    at: Moment
    """Earliest time of the step."""
    for_each: ForEachField | str | Sequence[Any] | Mapping[str, Any]
    """Runs the step once an item: a template, a list, or `{"in": …, "max_parallel": …, "item": …}`."""
    concurrency: Concurrency | Mapping[str, Any]
    """Limit over all runs of the store, by key."""
    update: Mapping[str, Any]
    """Shared keys written when the step completes."""
    compensate: Steps
    """Undoes the completed step when a saga around it fails."""
    estimate: Estimate | Mapping[str, Any]
    """What an attempt is expected to use, for the budget: `{"cost": …, "tokens": …}`."""
    at_most_once: bool
    """After a crash in its middle the step fails instead of running again."""
    on_interrupted: Literal["fail", "ask"]
    """Of a step that runs at most once: after such a crash it fails, or an operator says what has become of it."""
    approve: Approve | Mapping[str, Any] | str | bool
    """Somebody approves the step before it begins: True, what is asked, or all of it."""
    review: Review | Mapping[str, Any] | str | bool
    """Somebody accepts what the step has given, changes it, or sends it back."""
    max_parallel: int
    """Of a container or loop: how many of its steps or items run at once."""
    on_error_siblings: OnErrorSiblings
    """Of a container: what a failure inside does to the other steps inside."""
    on_success: Steps
    """Of a container: steps that run after its success."""
    on_failure: Steps
    """Of a container: steps that run after its failure."""
    finally_: Steps
    """Of a container: steps that run at its end, whatever the end."""


def native(skill: str, *, config: Mapping[str, Any] | None = None) -> Requirement:
    """Name a native skill that a step needs.

    Args:
        skill: its name without `native:`, such as `shell`.
        config: anything that the skill's checker wants to know.
    """
    return Requirement(skill=f"native:{skill}", config=None if config is None else dict(config))


def connection(
    provider: str, service: str, *, permissions: Iterable[str] = (), config: Mapping[str, Any] | None = None
) -> Requirement:
    """Name a connection that a step needs.

    Args:
        provider: who offers the service, such as `google`.
        service: the service, such as `drive`.
        permissions: scopes that the connection must have been granted.
        config: anything that the provider wants to know.
    """
    return Requirement(
        skill=f"{provider}:{service}",
        permissions=tuple(permissions),
        config=None if config is None else dict(config),
    )


def step(
    id: str,  # noqa: A002  named as in YAML
    type: str,  # noqa: A002  named as in YAML
    config: Mapping[str, Any] | None = None,
    common: Common | None = None,
    bodies: Mapping[str, Steps | None] | None = None,
) -> Step:
    """Make a step of any type, your own ones included.

    Args:
        id: unique in its scope.
        type: name of the step type.
        config: the type's own fields, named as in YAML; those that are `UNSET` count as not given.
        common: the common fields.
        bodies: nested steps by body key; None: no such body.

    Raises:
        DefinitionError: a field has a value that it can't have.
    """
    fields: dict[str, Any] = {"id": id, "type": type}
    owner = f'step "{id}" ({type})'
    for what, given in (("config", config), ("common", common), ("bodies", bodies)):
        if given is not None and not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  users may give anything
            raise DefinitionError([Problem("AF-STEP-INVALID", f'"{what}" of {owner} takes a mapping')])
    if config:
        fields["config"] = _plain({k: v for k, v in config.items() if v is not UNSET}, f'step "{id}"')
    if bodies:
        named = {key: steps for key, steps in bodies.items() if steps is not None}
        fields["bodies"] = {key: _body(steps, f'"{key}" of {owner}') for key, steps in named.items()}
    for name, value in (common or {}).items():
        convert = _CONVERT.get(name)
        try:
            fields[name] = convert(value) if convert else value
        except UnfitError as error:
            raise _no_data(f'"{name}" of step "{id}"', value, error) from None
    if fields.get("compensate") is not None:
        fields["compensate"] = _body(fields["compensate"], f'"compensate" of {owner}')
    return Step(**fields)


def schema_of(id: str, schema: Any) -> Any:  # noqa: A002  named as in YAML
    """Return a schema as data; a type gives its own, the short form is widened, a template is filled in later."""
    if schema is UNSET or (isinstance(schema, str) and "{" in schema):
        return schema
    return plain_schema(schema, f'step "{id}"')


def plain_schema(schema: Any, owner: str) -> Any:
    """Return a schema as data: a type gives its own, the short form is widened.

    Args:
        schema: a JSON Schema, its short form, or a type.
        owner: whose `schema` it is, for messages.

    Raises:
        DefinitionError: it is nothing of these.
    """
    if isinstance(schema, Mapping):
        given: Mapping[str, Any] = schema  # pyright: ignore[reportUnknownVariableType]  whatever was given
        return _widened(owner, given) if is_short(given) else given
    if is_type(schema):
        with suppress(TypeError):
            return type_schema(schema)
    what = f'"schema" of {owner} takes a JSON Schema or a type that has one, not {shown(schema)}'
    raise DefinitionError([Problem("AF-STEP-INVALID", what, hint='schema={"type": "object", …}, or a pydantic model')])


def _widened(owner: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    made, misread = widened(schema)
    for name, kind in misread:
        what = f'has no known type: "{kind}"' if kind is not None else "takes a type or a mapping"
        hint = f"types are {', '.join(TYPES)}; an ending `?` makes it optional"
        raise DefinitionError([Problem("AF-STEP-INVALID", f'answer "{name}" of {owner} {what}', hint=hint)])
    return made


def _plain(value: Any, what: str) -> Any:
    try:
        return _data(value)
    except UnfitError as error:
        raise _no_data(what, value, error) from None


def _data(value: Any) -> Any:
    if _has_step(value):  # a model as others are, it would become data
        raise UnfitError("a step has no JSON form")
    return normalise(value)


def _has_step(value: Any) -> bool:
    if is_object(value):
        return any(map(_has_step, value.values()))
    return any(map(_has_step, value)) if is_array(value) else isinstance(value, Step)


def _no_data(what: str, value: Any, error: UnfitError) -> DefinitionError:
    said = f"{what} holds a value that has no JSON form: {error}"
    named = error.path.startswith(("tools", "skills"))
    hint = f'{error.path.partition("[")[0]}=["…"]: they are given by name' if named else _instead(value)
    return DefinitionError([Problem("AF-STEP-INVALID", said, hint=hint)])


def _instead(value: Any) -> str | None:
    """Return what is to be written in the place of a step or a function that stands in a value."""
    if isinstance(value, Step):
        return f'its result is "{{steps.{value.id}}}"'
    if isinstance(value, Mapping | list | tuple):
        given: Any = value  # pyright: ignore[reportUnknownVariableType]  whatever was given
        return next((hint for one in (given.values() if is_object(given) else given) if (hint := _instead(one))), None)
    name = getattr(value, "__name__", None)
    if isinstance(name, str) and name.isidentifier() and callable(value) and not isinstance(value, type):
        return f'"{{steps.{name}}}" is the result of a step that calls it; a condition step or a switch asks a function'
    return None


def _body(steps: Any, what: str) -> Body:
    single = isinstance(steps, Step) or callable(steps)
    listed: Any = several(steps)
    if not is_array(listed) or not all(isinstance(one, Step) for one in listed):
        problem = Problem("AF-STEP-INVALID", f"{what} takes a step or a list of steps")
        raise DefinitionError([problem])
    if single and len(listed) > 1:
        name, before = listed[-1].id, listed[0].id
        why = f'{what} takes a list here, as the function that decides "{name}" is a step of its own, "{before}"'
        raise DefinitionError([Problem("AF-STEP-INVALID", why, hint=f"[{name}]")])
    return Body(steps=tuple(listed), single=single)


def several(steps: Any) -> Any:
    """Return steps as a list, where only a list has a meaning; one step is a list of one."""
    if isinstance(steps, Step) or callable(steps):
        return list(as_steps(steps))
    if not isinstance(steps, Iterable) or isinstance(steps, str | Mapping):
        return steps  # pyright: ignore[reportUnknownVariableType]  whatever was given
    return [step for one in cast("Iterable[Any]", steps) for step in as_steps(one)]


def _names(value: Any) -> Any:
    if isinstance(value, str | Step) or callable(value):
        value = (value,)
    if not isinstance(value, list | tuple):
        return value
    return tuple(map(_name, cast("Sequence[Any]", value)))


def _name(one: Any) -> Any:
    if isinstance(one, Step):
        return one.id
    return getattr(one, "__name__", one) if callable(one) else one


def _requirements(value: Any) -> Any:
    several = value if is_array(value) else (value,)
    return tuple(Requirement(skill=one) if isinstance(one, str) else one for one in several)


def _retry(value: Any) -> Any:
    return value if isinstance(value, RetryPolicy) else short.retry(value)


def _gate(value: Any) -> Any:
    return value if isinstance(value, BaseModel) else short_gate(_data(value))


def _for_each(value: Any) -> Any:
    if isinstance(value, ForEachField):
        return value
    return short.for_each(_data(value))


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "depends_on": _names,
    "depends_on_any": _names,
    "requires": _requirements,
    "with_": _data,
    "if_": _data,
    "skip_if": _data,
    "retry": _retry,
    "timeout": _seconds,
    "delay": _data,
    "at": _data,
    "for_each": _for_each,
    "approve": _gate,
    "review": _gate,
    "update": _data,
    "on_success": several,
    "on_failure": several,
    "finally_": several,
}
