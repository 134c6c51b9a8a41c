"""Says in one sentence how a constructor is called, where it was called otherwise."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from agentflow.errors import DefinitionError, Problem

P = ParamSpec("P")
R = TypeVar("R")
_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def told(constructor: Callable[P, R]) -> Callable[P, R]:
    """Return a constructor that tells what it needs instead of raising TypeError."""

    @functools.wraps(constructor)
    def build(*args: P.args, **fields: P.kwargs) -> R:
        try:
            return constructor(*args, **fields)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise  # raised inside of it, not by the call
            raise _wrong(constructor, args, fields) from None

    return build


def _wrong(constructor: Callable[..., Any], args: Sequence[Any], fields: Mapping[str, Any]) -> DefinitionError:
    name = constructor.__name__
    parameters = inspect.signature(constructor).parameters
    named = [one for one, parameter in parameters.items() if parameter.kind is _KEYWORD]
    needed = [one for one in named if parameters[one].default is inspect.Parameter.empty]
    missing = [one for one in needed if one not in fields]
    start = f'{name}("{args[0] if args and isinstance(args[0], str) else "name"}"'
    example = f"{start}, {', '.join(f'{one}=…' for one in needed or named[:1])})"
    if not args and "id" not in fields:
        what = f"{name}(…) takes the step's id first"
    elif len(args) > 1:
        what = f"{name}(…) takes its id first, and all else by name"
    elif missing:
        listed = ", ".join(f'"{one}"' for one in missing)
        what = f'step "{args[0] if args else fields["id"]}" ({name.rstrip("_")}) needs {listed}'
    else:
        what = f"{name}(…) isn't called so"
    return DefinitionError([Problem("AF-STEP-INVALID", f"{what}: {example}", hint=example)])
