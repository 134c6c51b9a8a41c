"""Values of the command line that are already what a command takes: texts, flags, defaults.

Typer has pydantic look at every value of every option, which costs more than most commands do. What a shell gives is
text, and most of our options take just that; only the others are left to typer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast


class AsGiven:
    """Takes a value as it is where it has the type that the command asks for."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value for the command; raises what typer raises where it doesn't fit."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        wanted = param.type_descriptor.annotation
        if type(value) is wanted:
            return value
        if wanted == list[str] and isinstance(value, list | tuple):
            found = cast("list[Any] | tuple[Any, ...]", value)
            if all(isinstance(each, str) for each in found):
                return list(found)
        from typer._coercion import build_runtime_param  # noqa: PLC0415  loads pydantic

        return build_runtime_param(param.type_descriptor).coerce(value, param=param, ctx=ctx)


_AS_GIVEN = AsGiven()


def spared(params: Iterable[Any]) -> None:
    """Let parameters take values as they are given where they can."""
    for param in params:
        if getattr(param, "_runtime_param", param) is None:
            param._runtime_param = _AS_GIVEN
