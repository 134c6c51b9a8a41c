"""CEL, by Google's library: the one place that touches it. Untyped there; typed here."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

from agentflow.expressions.view import ExpressionError

_MOST_ITEMS = 1000
_MOST_VALUES = 20_000
_BIG = 2**63


@lru_cache(maxsize=64)
def _environment(names: tuple[str, ...]) -> Any:
    from cel_expr_python import cel  # noqa: PLC0415  costs its import, and few workflows need it
    from cel_expr_python.ext import ext_optional  # noqa: PLC0415

    library = cast("Any", cel)
    variables = dict.fromkeys(names, library.Type.DYN)
    return library.NewEnv(variables=variables, extensions=[cast("Any", ext_optional).ExtOptional()])


def compile_cel(text: str, names: tuple[str, ...]) -> Any:
    """Compile an expression over some variables.

    Raises:
        ExpressionError: it isn't CEL, or names something else.
    """
    try:
        return _environment(names).compile(text)
    except Exception as error:  # the library raises RuntimeError with the whole text
        raise ExpressionError(_first_line(str(error)), code="AF-CONDITION-SYNTAX") from None


def _first_line(text: str) -> str:
    line = next((line for line in text.splitlines() if "ERROR" in line), text)
    return line.partition("ERROR: <input>:")[2] or line


def evaluate_cel(program: Any, data: dict[str, Any]) -> tuple[bool, Any]:
    """Evaluate an expression.

    Returns:
        (True, value), or (False, what went wrong).
    """
    from cel_expr_python import cel  # noqa: PLC0415  loaded already

    try:
        result = program.eval(data=data)
    except Exception as error:  # budgets and foreign values are raised
        return False, str(error)
    if result.type() == cast("Any", cel).Type.ERROR:
        return False, str(result.value())
    return True, result.plain_value()


def bindable(value: Any) -> Any:
    """Return a JSON value as CEL takes it: integers beyond 64 bits as doubles.

    Raises:
        ValueError: it is so large that evaluating it would take too long.
    """
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return float(value) if abs(value) >= _BIG else value
    counter = [0]
    return _convert(value, counter)


def _convert(value: Any, counter: list[int]) -> Any:
    counter[0] += 1
    if counter[0] > _MOST_VALUES:
        raise ValueError(f"it holds more than {_MOST_VALUES:,} values")
    if isinstance(value, list):
        items = cast("list[Any]", value)
        if len(items) > _MOST_ITEMS:
            raise ValueError(f"it holds a list of {len(items):,} items, and a condition takes {_MOST_ITEMS:,}")
        return [_convert(item, counter) for item in items]
    if isinstance(value, dict):
        return {key: _convert(item, counter) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _BIG:
        return float(value)
    return value
