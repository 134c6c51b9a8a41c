"""The part of a terminal that is redrawn while a run goes: what runs now, below the lines of what is done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentflow.cli.console import Console
from agentflow.cli.rows import live_lines
from agentflow.cli.tree import RunTree

if TYPE_CHECKING:
    from rich.live import Live

ROOM = 4
"""Lines of the screen that are left alone."""


class Screen:
    """Prints lines that stay, and redraws the ones that change below them."""

    def __init__(self, console: Console, tree: RunTree) -> None:
        """Make a screen that shows nothing yet."""
        self.console = console
        self.tree = tree
        self._live: Live | None = None
        self._shown: list[str] = []

    def print(self, lines: Sequence[str]) -> None:
        """Print lines that stay."""
        if self._live is None:
            for line in lines:
                self.console.say(line)
            return
        from rich.text import Text  # noqa: PLC0415  only in a live terminal

        for line in lines:
            self._live.console.print(Text.from_ansi(self.console.fit(line)), soft_wrap=True)

    def refresh(self) -> None:
        """Draw what runs now."""
        if not self.console.live:
            return
        height = max(self.console.height - ROOM, 3)
        lines = live_lines(self.tree, time.time(), height, self.console.width, self.console.paint)
        if lines == self._shown:
            return
        self._shown = lines
        if self._live is None and lines:
            self._live = _start()
        if self._live is not None:
            from rich.text import Text  # noqa: PLC0415  only in a live terminal

            self._live.update(Text("\n").join(Text.from_ansi(self.console.fit(line)) for line in lines), refresh=True)

    def stop(self) -> None:
        """Take the changing part away: something else is written now."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._shown = []


def _start() -> Live:
    from rich.console import Console as RichConsole  # noqa: PLC0415  only in a live terminal
    from rich.live import Live  # noqa: PLC0415

    rich = RichConsole(stderr=True, highlight=False, markup=False, emoji=False)
    live = Live(console=rich, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
    live.start()
    return live
