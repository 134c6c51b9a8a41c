"""Functions that are given to a step as objects: named so that another process finds them, or refused at once."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, cast

from agentflow.errors import DefinitionError, Problem


def function_name(step_id: str, function: object) -> str:
    """Return how a function is found again, by this process and by any other: `module:name`.

    Raises:
        DefinitionError: it isn't found by its name.
    """
    if not callable(function):
        what = f'step "{step_id}": function= takes a function or its name, not {_shown(function)}'
        raise DefinitionError([Problem("AF-STEP-INVALID", what, hint="function=score, not function=score(…)")])
    why = _why_not(function)
    if why is None:
        return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"
    what = (
        f'step "{step_id}": {why}, so no other process could find it again; define it in a module, '
        'or give it a name in functions={"my:name": …}'
    )
    raise DefinitionError([Problem("AF-STEP-INVALID", what, hint=f'python("{step_id}", function="my:name")')])


def bare_name(function: Callable[..., Any]) -> str:
    """Return the id of a function that stands where a step may stand.

    Raises:
        DefinitionError: it takes something that nobody gives it there.
    """
    name = str(getattr(function, "__name__", type(function).__name__))
    takes = required(function)
    if takes:
        given = ", ".join(f'"{one}": …' for one in takes)
        raise DefinitionError(
            [
                Problem(
                    "AF-STEP-INVALID",
                    f'function "{name}" takes {", ".join(takes)}, and as a bare step it is given nothing',
                    hint=f'python("{name}", function={name}, input={{{given}}})',
                )
            ]
        )
    return name


def required(function: Callable[..., Any]) -> list[str]:
    """Return the parameters of a function that have no default, the context's apart."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a function of C that doesn't tell
        return []
    found: list[str] = []
    for parameter in signature.parameters.values():
        kind = cast("object", parameter.annotation)
        text = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
        context = parameter.name == "ctx" or text.rpartition(".")[2] == "Context"
        various = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if parameter.default is inspect.Parameter.empty and not (context or various):
            found.append(parameter.name)
    return found


def _why_not(function: object) -> str | None:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if isinstance(function, functools.partial):
        return "a functools.partial has no name"
    if inspect.isclass(function):
        return f'"{name}" is a class, not a function'
    if inspect.ismethod(function):
        return f'"{name}" is a method of an object'
    if not isinstance(module, str) or not isinstance(name, str):
        return f"an object of {type(function).__name__} has no name"
    if "<lambda>" in name:
        return "a lambda has no name"
    if "<locals>" in name:
        return f'"{name.rpartition(".")[2]}" is defined inside of another function'
    return None if _found(module, name) is function else f'"{module}:{name}" is another object'


def _found(module: str, name: str) -> object:
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _shown(value: object) -> str:
    return "null" if value is None else f"an object of {type(value).__name__}"
