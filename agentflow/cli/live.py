"""The part of a terminal that is redrawn while a run goes: what runs now, below the lines of what is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, cast

from agentflow.cli.console import Console
from agentflow.cli.rows import live_lines
from agentflow.cli.tree import RunTree

if TYPE_CHECKING:
    from rich.live import Live

ROOM = 4
"""Lines of the screen that are left alone."""
FRAME = 0.1
"""Seconds between two frames at least, however much happens."""


class Screen:
    """Prints lines that stay, and redraws the ones that change below them."""

    def __init__(self, console: Console, tree: RunTree, clock: Callable[[], float] = time.monotonic) -> None:
        """Make a screen that shows nothing yet."""
        self.console = console
        self.tree = tree
        self.drawn = 0
        """Frames so far."""
        self._clock = clock
        self._next = -math.inf
        self._live: Live | None = None
        self._shown: list[str] = []
        self._above: list[str] = []
        """Lines that stay, to be written with the next frame."""

    def print(self, lines: Sequence[str]) -> None:
        """Print lines that stay."""
        if self._live is None:
            for line in lines:
                self.console.say(line)
        else:
            self._above += lines

    def refresh(self) -> None:
        """Draw what runs now, if the last frame is old enough."""
        if not self.console.live or self._clock() < self._next:
            return
        self._next = self._clock() + FRAME
        self.drawn += 1
        self._write_above()
        height = max(self.console.height - ROOM, 3)
        lines = live_lines(self.tree, time.time(), height, self.console.width, self.console.paint)
        if lines == self._shown:
            return
        self._shown = lines
        if self._live is None and lines:
            self._live = _start(self.console)
        if self._live is not None:
            from rich.text import Text  # noqa: PLC0415  only in a live terminal

            shown = (Text.from_ansi(self.console.rendered(line)) for line in lines)
            self._live.update(Text("\n").join(shown), refresh=True)

    def _write_above(self) -> None:
        lines, self._above = self._above, []
        if lines and self._live is not None:
            from rich.text import Text  # noqa: PLC0415  only in a live terminal

            text = Text("\n").join(Text.from_ansi(self.console.rendered(line)) for line in lines)
            self._live.console.print(text, soft_wrap=True)

    def stop(self) -> None:
        """Take the changing part away: something else is written now."""
        self._write_above()
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._shown = []


def _start(console: Console) -> Live:
    from rich.console import Console as RichConsole  # noqa: PLC0415  only in a live terminal
    from rich.live import Live  # noqa: PLC0415

    rich = RichConsole(
        file=cast("IO[str]", console.err), force_terminal=True, highlight=False, markup=False, emoji=False
    )
    live = Live(console=rich, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
    live.start()
    return live
