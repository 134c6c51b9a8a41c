"""Functions that are given to a step as objects: named so that another process finds them, or refused at once."""

from __future__ import annotations

import functools
import inspect
import sys

from agentflow.errors import DefinitionError, Problem


def function_name(step_id: str, function: object) -> str:
    """Return how a function is found again, by this process and by any other: `module:name`.

    Raises:
        DefinitionError: it isn't found by its name.
    """
    why = _why_not(function)
    if why is None:
        return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"
    what = (
        f'step "{step_id}": {why}, so no other process could find it again; define it in a module, '
        'or give it a name in functions={"my:name": …}'
    )
    raise DefinitionError([Problem("AF-STEP-INVALID", what, hint=f'python("{step_id}", function="my:name")')])


def _why_not(function: object) -> str | None:
    if not callable(function):
        return f"function= takes a function or its name, not {type(function).__name__}"
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
    if module == "__main__":
        return f'"{name}" belongs to the script itself (__main__)'
    return None if _found(module, name) is function else f'"{module}:{name}" is another object'


def _found(module: str, name: str) -> object:
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
