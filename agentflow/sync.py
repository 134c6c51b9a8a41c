"""The one bridge for code that isn't async."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple, Unpack

import anyio

from agentflow.errors import AgentflowError

T = TypeVar("T")
Args = TypeVarTuple("Args")


def run_sync(function: Callable[[Unpack[Args]], Awaitable[T]], *args: *Args) -> T:
    """Run an async function to its end and return its result.

    Args:
        function: the async function itself, not a coroutine that was made by calling it.
        args: its arguments.

    Raises:
        AgentflowError: called where an event loop runs already, such as in an async function or a notebook.
    """
    if not _inside():
        return anyio.run(function, *args)
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
