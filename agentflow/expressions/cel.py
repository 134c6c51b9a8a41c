"""CEL, by the library that wraps Google's implementation. It has no types, so this is the one place that touches it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol, cast

from agentflow.expressions.failures import is_list, is_mapping

_SIZES = (8, 64, 512)
MOST_VARIABLES = _SIZES[-1]
MOST_ITEMS = 1000
"""Longer lists are refused: evaluating over them would block the process, and no other thread could go on."""
_MOST_VALUES = 20_000
_MOST_LEVELS = 110
EXACT = 2**53
"""Smaller whole numbers are exact as decimal numbers, too."""
_PLACE = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")


class Fault(Exception):
    """The library's message about a text or an evaluation, in one line."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        """Make a signal; line and column count from 1, a line 0 means nowhere."""
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class Program(Protocol):
    """A compiled expression."""

    def eval(self, *, data: Mapping[str, Any]) -> Any:
        """Return the library's value."""
        ...


@lru_cache(maxsize=len(_SIZES))
def _environment(size: int) -> Any:
    from cel_expr_python import cel as library  # noqa: PLC0415  costs its import, and few workflows need it
    from cel_expr_python.ext import ext_optional  # noqa: PLC0415

    cel = cast("Any", library)
    variables = {f"_r{number}": cel.Type.DYN for number in range(size)}
    return cel.NewEnv(variables=variables, extensions=[cast("Any", ext_optional).ExtOptional()])


@lru_cache(maxsize=1024)
def compile_cel(text: str, count: int) -> Program:
    """Compile an expression over the variables `_r0`, `_r1`, ….

    Raises:
        Fault: it isn't CEL, or names something else.
    """
    size = next(size for size in _SIZES if count <= size)
    try:
        return _environment(size).compile(text)
    except Exception as error:  # the library raises RuntimeError with a long text
        found = _PLACE.search(str(error))
        if found is None:
            raise Fault(_one_line(str(error)), 0, 0) from None
        raise Fault(_one_line(found[3]), max(int(found[1]), 0), max(int(found[2]), 0)) from None


def evaluate_cel(program: Program, data: Mapping[str, Any]) -> Any:
    """Evaluate an expression; the result is plain data.

    Raises:
        Fault: it can't be evaluated.
    """
    from cel_expr_python import cel as library  # noqa: PLC0415  loaded already

    try:
        result = program.eval(data=data)
    except Exception as error:  # budgets and foreign values are raised; all other errors are values
        raise Fault(_one_line(str(error))) from None
    kind = result.type()
    types = cast("Any", library).Type
    if kind == types.BOOL:
        return result.value()
    if kind == types.ERROR:
        raise Fault(_one_line(str(result.value())))
    return result.plain_value()


def _one_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    line = re.sub(r"^[A-Z_]+: ", "", line)
    return re.sub(r"\s*\[[A-Z_]+\]$", "", line)


class TooLarge(ValueError):
    """A value that a condition can't take."""


def fits(number: int) -> bool:
    """Tell whether CEL takes a whole number as one."""
    return -(2**63) <= number < 2**64


class Binder:
    """Turns the values of a condition into what CEL takes, and notices numbers that it would mix up.

    CEL compares whole numbers of 64 bits exactly with each other. Larger ones it is given as decimal numbers, and with
    those it compares in 53 bits: so it must not be asked where two different numbers become the same one.
    """

    __slots__ = ("_numbers",)

    def __init__(self, numbers: Iterable[float] = ()) -> None:
        """Make it for a condition; `numbers` are the large ones in its own text."""
        self._numbers = tuple(numbers)

    def mixes_up(self, large: Iterable[float]) -> bool:
        """Tell whether a comparison could take different numbers for equal: those of an evaluation, and its own."""
        exact: list[int] = []
        coarse: dict[float, float] = {}
        for number in (*self._numbers, *large):
            if isinstance(number, int) and fits(number):
                exact.append(number)
            elif coarse.setdefault(_double(number), number) != number:
                return True
        return bool(coarse) and any(coarse.get(float(number), number) != number for number in exact)

    def bind(self, value: Any, large: list[float]) -> Any:
        """Return a JSON value as CEL takes it.

        Args:
            value: the value.
            large: gets the numbers in it that aren't exact as decimal numbers.

        Raises:
            TooLarge: evaluating over it could take too long.
        """
        kind = value.__class__
        if value is None or kind is str or kind is bool:
            return value
        if kind is int or kind is float:
            return value if -EXACT < value < EXACT else _number(value, large)
        return _Copy(large).of(value, 0)


class _Copy:
    """Copies one value with what is inside of it."""

    def __init__(self, large: list[float]) -> None:
        self._large = large
        self._count = 0

    def of(self, value: Any, level: int) -> Any:
        self._count += 1
        if self._count > _MOST_VALUES:
            raise TooLarge(f"it holds more than {_MOST_VALUES:,} values")
        if level > _MOST_LEVELS:
            raise TooLarge("it is nested too deep")
        if is_mapping(value):
            return {str(key): self.of(item, level + 1) for key, item in value.items()}
        if is_list(value):
            if len(value) > MOST_ITEMS:
                raise TooLarge(f"it holds a list of {len(value):,} items, and a condition takes {MOST_ITEMS:,}")
            return [self.of(item, level + 1) for item in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not -EXACT < value < EXACT:
            return _number(value, self._large)
        return value


def _number(value: float, large: list[float]) -> float:
    large.append(value)
    return value if isinstance(value, int) and fits(value) else _double(value)


def _double(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
