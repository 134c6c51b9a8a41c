"""Crashes at named points, for tests of what survives them.

`fault(point, nth)` lets the process's work break off when a point of `agentflow.faultpoints` is reached for the nth
time; `dying(engine)` then lets that engine drop dead, as a `kill -9` would. A second engine on the same store shows
what became of its runs.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, NoReturn, TypeVar

from agentflow.engine import Engine
from agentflow.errors import Defect
from agentflow.faultpoints import POINTS, enable

if TYPE_CHECKING:
    from agentflow.testing.kit import Harness

Opened = TypeVar("Opened", "Engine", "Harness")


class Crashed(BaseException):
    """A simulated crash; no step and no engine may catch it."""


class Fault:
    """What happens at a point, and what has happened so far."""

    def __init__(self, point: str, nth: int, act: Callable[[], None]) -> None:
        """Let `act` happen when `point` is reached for the nth time."""
        if point not in POINTS:
            raise Defect(f'no fault point is called "{point}": {", ".join(POINTS)}')
        self.point = point
        self.nth = nth
        self.reached = 0
        """How often the point was reached."""
        self.struck = False
        """Whether it has happened."""
        self._act = act

    def __call__(self, point: str) -> None:
        """Act, if it is time. Once struck, a process reaches no further point."""
        self.reached += point == self.point
        if self.struck or (point == self.point and self.reached == self.nth):
            self.struck = True
            self._act()


def crash() -> NoReturn:
    """Break off."""
    raise Crashed


def die() -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def fault(point: str, nth: int = 1, act: Callable[[], None] = crash) -> Generator[Fault]:
    """Let something happen when a point is reached for the nth time.

    Args:
        point: one of `agentflow.faultpoints.POINTS`.
        nth: the how-manieth time; 0: never, the times are only counted.
        act: what happens; default: the work breaks off.
    """
    made = Fault(point, nth, act)
    enable(made)
    try:
        yield made
    finally:
        enable(None)


@asynccontextmanager
async def dying(opening: AbstractAsyncContextManager[Opened]) -> AsyncGenerator[Opened]:
    """Open an engine or a harness that drops dead at the end of the block, or when a fault breaks off its work.

    Nothing is shut down in good order: leases stay with it, what runs is cut off, nothing more is stored.

    Args:
        opening: what `Engine.open(…)` or `harness(…)` gives.
    """
    try:
        async with opening as opened:
            try:
                yield opened
            finally:
                doom(opened if isinstance(opened, Engine) else opened.engine)
                enable(_crash_anywhere)
    except BaseExceptionGroup as group:
        rest = group.split(Crashed)[1]
        if rest is not None:
            raise rest from None
    except Crashed:
        pass
    finally:
        enable(None)


def _crash_anywhere(point: str) -> None:
    raise Crashed


def doom(engine: Engine) -> None:
    """Let an engine's host drop dead when its block ends: no orderly shutdown, leases stay with it, nothing is stored.

    What it was executing is cut off, and it is known to be dead, as after a `kill -9`.
    """
    engine.host.shutdown = _nothing


async def _nothing(grace: float) -> None:
    """Don't shut down in good order."""
