"""What the test's functions get for a step's context: each thing that they ask of it is asked of the worker's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from typing import Any, Protocol

import anyio

METHODS = frozenset({"heartbeat", "message", "status", "now", "secret", "usage"})
AWAITED = frozenset({"save", "publish", "drain", "artifact", "credentials", "call_tool"})


class Asking(Protocol):
    """Asks things of a context."""

    async def ask(self, call: int, name: str, args: Any, keywords: Any) -> Any: ...

    def ask_in_thread(self, call: int, name: str, args: Any, keywords: Any) -> Any: ...

    def ask_now(self, call: int, name: str, args: Any = None, keywords: Any = None) -> Any: ...

    def tell(self, call: int, name: str, args: Any) -> None: ...


class LoopContext:
    """For a function in the loop."""

    def __init__(self, asking: Asking, call: int, facts: Mapping[str, Any] | None, scope: anyio.CancelScope) -> None:
        self._asking = asking
        self._call = call
        self._facts = facts or {}
        self.cancel_scope = scope

    @property
    def steps(self) -> Steps:
        """Results of earlier steps."""
        return Steps(partial(self._asking.ask_now, self._call))

    def __getattr__(self, name: str) -> Any:
        if name in self._facts:
            return deepcopy(self._facts[name])
        asking, call = self._asking, self._call
        if name in AWAITED:
            return _method(partial(asking.ask, call, name))
        if name in METHODS:
            return _method(partial(asking.ask_now, call, name))
        return asking.ask_now(call, name)

    def log(self, text: str, level: str = "info") -> None:
        """Add a line to the step's log."""
        self._asking.tell(self._call, "log", (text, level))

    def progress(self, fraction: Any, message: str = "") -> None:
        """Tell how far the step is."""
        if fraction is None or isinstance(fraction, int | float):
            self._asking.tell(self._call, "progress", (fraction, message))
        else:  # it is refused
            self._asking.ask_now(self._call, "progress", (fraction, message), {})


class ThreadsContext:
    """For a function in a thread."""

    def __init__(self, asking: Asking, call: int, facts: Mapping[str, Any] | None, scope: anyio.CancelScope) -> None:
        self._asking = asking
        self._call = call
        self._facts = facts or {}
        self.cancel_scope = scope

    @property
    def steps(self) -> Steps:
        """Results of earlier steps."""
        return Steps(partial(self._asking.ask_in_thread, self._call))

    def __getattr__(self, name: str) -> Any:
        if name in self._facts:
            return deepcopy(self._facts[name])
        asking, call = self._asking, self._call
        if name in AWAITED | METHODS | {"log", "progress"}:
            return _method(partial(asking.ask_in_thread, call, name))
        return asking.ask_in_thread(call, name, None, None)


def _method(ask: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def method(*args: Any, **keywords: Any) -> Any:
        return ask(args, keywords)

    return method


class Steps(Mapping[str, Any]):
    """Results of earlier steps."""

    def __init__(self, ask: Callable[[str, Any, Any], Any]) -> None:
        self._ask = ask

    def __getitem__(self, key: str) -> Any:
        return self._ask("steps.__getitem__", (key,), {})

    def __iter__(self) -> Iterator[str]:
        return iter(self._ask("steps.keys", (), {}))

    def __len__(self) -> int:
        return self._ask("steps.__len__", (), {})
