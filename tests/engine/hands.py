"""What several engine tests share beside the lab: time moved by hand, gates that hold steps, crashes of a host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from agentflow.definition.models import Workflow
from agentflow.engine import Engine
from agentflow.store import open_store
from agentflow.testing import FakeClock, dying, fault
from tests.engine.lab import LIMIT, Lab


def by_hand(lab: Lab) -> Lab:
    """Return a lab in which time stands still until the test moves it."""
    return replace(lab, clock=FakeClock(auto=False), functions={})


class Gate:
    """A step's function that holds on until it is opened, and counts who came in and who was interrupted."""

    def __init__(self, value: Any = None) -> None:
        self.value = value
        self.entered = 0
        self.interrupted = 0
        self._inside = anyio.Event()
        self._left = anyio.Event()
        self._open = anyio.Event()

    async def __call__(self) -> Any:
        """Wait inside."""
        self.entered += 1
        self._inside.set()
        try:
            await self._open.wait()
        except BaseException:
            self.interrupted += 1
            self._left.set()
            raise
        return self.value

    def open(self) -> None:
        """Let everybody through."""
        self._open.set()

    async def left(self) -> None:
        """Return when a step was interrupted inside."""
        with anyio.fail_after(LIMIT):
            await self._left.wait()

    async def inside(self) -> None:
        """Return when a step is inside."""
        with anyio.fail_after(LIMIT):
            await self._inside.wait()


class Fails:
    """A step's function that raises a number of times before it gives a value."""

    def __init__(self, times: int = 1_000_000, value: Any = "ok", error: Callable[[], Exception] | None = None) -> None:
        self.times = times
        self.value = value
        self.calls = 0
        self.error = error or (lambda: RuntimeError("broken"))

    def __call__(self) -> Any:
        """Raise, or answer."""
        self.calls += 1
        if self.calls <= self.times:
            raise self.error()
        return self.value


def same(n: Any) -> Any:
    """Give back what comes in."""
    return n


def times(factor: int) -> Callable[[int], int]:
    """Return a step's function that multiplies its input `n`."""

    def multiply(n: int) -> int:
        return n * factor

    return multiply


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when a condition holds; the loop turns between two looks."""
    with anyio.fail_after(LIMIT):
        while not await condition():
            await checkpoint()


async def killed_at_commit(
    lab: Lab, flows: Sequence[Workflow], path: Path, number: int, work: Callable[[Engine], Awaitable[object]],
    *, before: bool,
) -> bool:  # fmt: skip
    """Work with a store until its commit of this number, and die right before or after it.

    Returns:
        Whether there was such a commit before the work was done.
    """
    store = await open_store(path, durability="relaxed")
    try:
        with fault("before-commit" if before else "after-commit", number) as planned:
            async with dying(lab.open(*flows, store=store)) as engine:
                await work(engine)
    finally:
        await store.close()
    return planned.struck
