"""Functions that decide for steps that hold steps: each is a step of its own, so what it decided is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from agentflow.data import is_array
from agentflow.definition.given import function_name, required
from agentflow.definition.models import DecidedStep, GivenStep, Step
from agentflow.errors import DefinitionError, Problem
from agentflow.steps.building import Common, Steps, several, step
from agentflow.steps.unset import UNSET

Make: TypeAlias = Callable[[str, Common], Step]
_WHEN = ("depends_on", "depends_on_any", "execution", "with_", "if_", "skip_if")
"""Common fields that the function's step has, too: it runs when the step would."""


def refused(what: str, hint: str | None = None) -> DefinitionError:
    """Return the error of a constructor."""
    return DefinitionError([Problem("AF-STEP-INVALID", what, hint=hint)])


def decided(id: str, type: str, function: Callable[..., Any], common: Common, make: Make) -> Step:  # noqa: A002  named as in YAML
    """Return a step that a function decides: `make` gets the reference to what it gave, and the common fields."""
    name = f"{id}_decides"
    shared = {field: value for field, value in common.items() if field in _WHEN}
    takes = required(function)
    if takes and "with_" not in common:
        given = ", ".join(f'"{one}": …' for one in takes)
        what = f'the function of step "{id}" ({type}) takes {", ".join(takes)}, and the step has no with_'
        raise refused(what, f"with_={{{given}}}")
    before = calling(name, function, UNSET, shared)
    after: Any = {field: value for field, value in common.items() if field not in ("depends_on_any", "execution")}
    if "depends_on" in common or "depends_on_any" in common:
        after["depends_on"] = name
    return DecidedStep.of(make(f"{{steps.{name}}}", after), before)


def after(id: str, function: Callable[..., Any], steps: Any) -> tuple[Step, str]:  # noqa: A002  named as in YAML
    """Return the step that decides after the last of some steps, given its result, and the condition that asks it."""
    name = f"{id}_decides"
    last = steps[-1] if is_array(steps) and steps else None
    given = f"{{steps.{last.id}}}" if isinstance(last, Step) and required(function) else UNSET
    return calling(name, function, given, {}), f"{{steps.{name}}}"


def of_items(id: str, steps: Steps, fields: Mapping[str, Any], common: Common) -> Step:  # noqa: A002  named as in YAML
    """Return a loop; over a function alone it is the function's step with `for_each`: the results are a list."""
    if isinstance(steps, Step) or not callable(steps):
        return step(id, "for_each", fields, common, {"steps": several(steps)})
    item = fields["item"]
    given = (f"{{{'item' if item is UNSET else item}}}") if required(steps) else UNSET
    loop = {name: value for name, value in fields.items() if value is not UNSET}
    most = {"max_parallel": common["max_parallel"]} if "max_parallel" in common else {}
    others: Any = {name: value for name, value in common.items() if name != "max_parallel"}
    return calling(id, steps, given, {**others, "for_each": {**loop, **most}})


def cases_of(id: str, cases: object) -> list[tuple[Any, Any]]:  # noqa: A002  named as in YAML
    """Return the pairs of a switch; raises DefinitionError where there are none."""
    pairs: list[Any] = list(cases) if isinstance(cases, list | tuple) else [None]  # pyright: ignore[reportUnknownArgumentType]  whatever was given
    if not all(isinstance(one, list | tuple) and len(one) == 2 for one in pairs):  # pyright: ignore[reportUnknownArgumentType]  the same
        hint = 'on="{input.kind}"' if isinstance(cases, Mapping) else None
        raise refused(f'"cases" of step "{id}" (switch) takes pairs of a condition and its steps', hint)
    for when, _ in pairs:
        no_function(id, "switch", "cases", when, "on")
    return pairs


def no_function(id: str, type: str, field: str, value: object, instead: str) -> None:  # noqa: A002  named as in YAML
    """Refuse a function where it would have to be called while the engine decides."""
    if callable(value):
        place = "on=… of switch" if instead == "on" else f"{instead}(…)"
        raise refused(f'"{field}" of step "{id}" ({type}) takes a condition, not a function; one decides in {place}')


def literal(id: str, value: object) -> str:  # noqa: A002  named as in YAML
    """Return a value as conditions write it."""
    if value is None or isinstance(value, str | int | float):
        return json.dumps(value, ensure_ascii=False)
    raise refused(f'"cases" of step "{id}" (switch) has a key that is neither text nor a number')


def calling(id: str, function: Callable[..., Any], given: Any, common: Any) -> Step:  # noqa: A002  named as in YAML
    """Return the step that calls a function."""
    made = step(id, "python", {"function": function_name(id, function), "input": given}, common)
    return GivenStep.of(made, function)
