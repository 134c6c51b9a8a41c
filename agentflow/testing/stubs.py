"""Stand-ins for tools, agents and Python functions, and scripted answers."""

from __future__ import annotations

import functools
import inspect
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agentflow.engine import WaitView

_INDEX = re.compile(r"\[\d+\]")


class in_turn:
    """Values that come one after the other; an exception among them is raised.

    As a stub, the last value stays; as an answer, a wait that comes after the last one stays open.
    """

    def __init__(self, *values: Any) -> None:
        """Line up values."""
        self._values = deque(values)

    def __len__(self) -> int:
        """Return how many are left."""
        return len(self._values)

    def take(self, *, stay: bool = False) -> Any:
        """Return the next value, or raise it."""
        value = self._values[0] if stay and len(self._values) == 1 else self._values.popleft()
        if isinstance(value, BaseException):
            raise value
        return value


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a stub."""

    name: str
    """The stub's name."""
    arguments: Mapping[str, Any]
    """What it was given, by name."""


def stub(name: str, value: Any, calls: list[Call]) -> Any:
    """Make what the engine calls: it notes each call, then gives the value, the next value, or calls the function.

    Providers (objects with `call` or `run`) are returned as they are.
    """
    if not callable(value):
        if hasattr(value, "call") or hasattr(value, "run"):
            return value
        return _fixed(name, value, calls)
    function: Callable[..., Any] = value
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def noted_async(*args: Any, **kwargs: Any) -> Any:
            calls.append(_call(name, function, args, kwargs))
            return await function(*args, **kwargs)

        return noted_async

    @functools.wraps(function)
    def noted(*args: Any, **kwargs: Any) -> Any:
        calls.append(_call(name, function, args, kwargs))
        return function(*args, **kwargs)

    return noted


def _fixed(name: str, value: Any, calls: list[Call]) -> Callable[..., Any]:
    async def fixed(**arguments: Any) -> Any:
        calls.append(Call(name, arguments))
        if isinstance(value, in_turn):
            return value.take(stay=True)
        if isinstance(value, BaseException):
            raise value
        return value

    return fixed


def _call(name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):  # a function of C that doesn't tell
        return Call(name, kwargs)
    given = dict(bound.arguments)
    for parameter in bound.signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            given.update(given.pop(parameter.name, {}))
    given.pop("ctx", None)
    return Call(name, given)


class Answers:
    """Scripted answers, by the step that waits: its address, the address without numbers, or its id."""

    def __init__(self, script: Mapping[str, Any]) -> None:
        """Take a script: step → answer, list of successive answers, or function of the wait."""
        self._script = {
            step: in_turn(*answer) if isinstance(answer, list) else answer for step, answer in script.items()
        }

    def set(self, step: str, answer: Any) -> None:
        """Script an answer from now on."""
        self._script[step] = in_turn(*answer) if isinstance(answer, list) else answer

    def _key(self, wait: WaitView) -> str | None:
        names = (wait.step, _INDEX.sub("", wait.step), wait.step.rpartition("/")[2])
        return next((name for name in names if name in self._script), None)

    def has(self, wait: WaitView) -> bool:
        """Tell whether there is an answer for a wait."""
        key = self._key(wait)
        if key is None:
            return False
        answer = self._script[key]
        return len(answer) > 0 if isinstance(answer, in_turn) else True

    async def take(self, wait: WaitView) -> Any:
        """Return the answer for a wait."""
        answer = self._script[self._key(wait) or wait.step]
        if isinstance(answer, in_turn):
            answer = answer.take()
        if callable(answer):
            answer = answer(wait)
            if inspect.isawaitable(answer):
                answer = await answer
        return answer
