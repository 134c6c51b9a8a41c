"""The one bridge for code that isn't async."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import ParamSpec, TypeVar

import anyio

from agentflow.errors import AgentflowError

T = TypeVar("T")
P = ParamSpec("P")


def run_sync(function: Callable[P, Awaitable[T]], *args: P.args, **options: P.kwargs) -> T:
    """Run an async function to its end and return its result: `run_sync(agentflow.run, hello, {"name": "Ada"})`.

    Args:
        function: the async function itself, not a coroutine that was made by calling it.
        args: its arguments.
        options: its arguments by name.

    Raises:
        AgentflowError: called where an event loop runs already, such as in an async function or a notebook.
    """
    if not callable(function):
        if isinstance(function, Coroutine):
            function.close()  # else Python warns of it, too
        what = f"run_sync takes an async function, not an object of {type(function).__name__}"
        raise AgentflowError(what, code="AF-USAGE", hint="run_sync(main), not run_sync(main())")
    if not _inside():
        return anyio.run(partial(function, *args, **options))
    name = getattr(function, "__name__", "function")
    raise AgentflowError(
        f"run_sync({name}) was called where an event loop runs already",
        code="AF-USAGE",
        hint=f"await it instead: await {name}(...)",
    )


def _inside() -> bool:
    """Tell whether an event loop runs already."""
    try:
        anyio.get_current_task()
    except RuntimeError:
        return False
    return True
