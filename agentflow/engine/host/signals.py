"""Events that tasks wait for, made cheaply."""

from __future__ import annotations

import anyio


class Signals:
    """Makes events for one event loop: `anyio.Event()` asks each time which library runs it, at most of its price."""

    def __init__(self) -> None:
        """Ask once, inside the event loop."""
        self._kind = type(anyio.Event())

    def new(self) -> anyio.Event:
        """Make an event."""
        return self._kind()
