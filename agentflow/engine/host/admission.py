"""How many runs may be begun in one turn of the event loop: very many at once would keep everything else waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import anyio

ADMITTED = 64
"""Runs that are begun in one turn."""


class Admission:
    """Lets those in who want to begin a run, a few dozen a turn."""

    def __init__(self, ask: Callable[[], None]) -> None:
        """Begin a first turn; `ask` asks for the next one."""
        self._ask = ask
        self._admitted = 0
        self._waiting: deque[anyio.Event] = deque()
        """What those wait for who come too many, one for each turn."""
        self._joined = 0
        """How many have come to wait, since nobody waited."""

    async def enter(self) -> None:
        """Return when one more run may be begun."""
        if self._admitted < ADMITTED:
            self._admitted += 1
            return
        if self._joined % ADMITTED == 0:
            self._waiting.append(anyio.Event())
        self._joined += 1
        self._ask()
        await self._waiting[-1].wait()

    def end(self) -> None:
        """Let everybody in: they are told that nothing is begun any more."""
        for event in self._waiting:
            event.set()

    def turn(self) -> None:
        """Let the next ones in: the event loop has come round."""
        self._admitted = 0
        if self._waiting:
            self._waiting.popleft().set()
            self._admitted = ADMITTED
        if self._waiting:
            self._ask()
        else:
            self._joined = 0
