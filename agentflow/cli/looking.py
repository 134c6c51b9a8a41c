"""Commands that only show what a store holds: as fast as they can, without an engine and without an event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeVar

from agentflow.cli.console import Console
from agentflow.cli.desk import Desk, Project
from agentflow.cli.projects import need_store
from agentflow.engine.read.reader import Reader
from agentflow.store import look_into
from agentflow.store.places import refuse_platform

T = TypeVar("T")
Work = Callable[[Desk], Coroutine[Any, Any, int]]


def look(console: Console, project: Project, work: Work, *, kind: Literal["run", "wait"] = "run") -> int:
    """Open the store and show something of it.

    Args:
        console: where to talk.
        project: where the store is.
        work: what to do; all that it awaits is asked of the store.
        kind: what the command looks for.

    Returns:
        The exit code of the work.

    Raises:
        NotFoundError: there is no store here yet.
        StoreError: it can't be read.
    """
    need_store(project, kind)
    refuse_platform()
    with look_into(project.store) as store:
        if store is not None:
            return finished(work(Desk(console, project, Reader(store))))
    from agentflow.cli.session import read  # noqa: PLC0415  it has to be brought up, once

    return read(console, project, work, kind=kind)


def look_up(project: Project, work: Callable[[Reader], Coroutine[Any, Any, list[str]]]) -> list[str]:
    """Return what completion offers of a store; nothing of one that has to be brought up first."""
    with look_into(project.store) as store:
        return finished(work(Reader(store))) if store is not None else []


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine comes to that never suspends: a store that is looked at answers at once."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    work.close()
    raise RuntimeError("a command that only looks has waited for something")
