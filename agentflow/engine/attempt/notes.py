"""What running steps tell of themselves: log lines and progress.

A few go into the run's log one by one; of a flood, many lines go as one event, and more than a run's share is left out
and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import anyio

from agentflow.engine.attempt.ports import Notable, Port, Process
from agentflow.engine.exchange import Attempt
from agentflow.engine.gate import FIELD
from agentflow.engine.volume import Bucket

ALONE = 20.0
"""How many events a step may write in a second, one for each thing that it tells; after that they are joined."""
PROGRESS = 5.0
"""For how many of them progress counts: it is a change of the run's task, told to all who follow it."""
INTERVAL = 0.25
"""Seconds between two events of what is joined."""
BLOCK = 64 * 1024
"""Characters that are told at once, whatever the time, and no more in one transition."""
_MOST = 2 * BLOCK
"""Characters of one text that are looked at."""
TEXT = 10_000
"""Characters of one event."""
_LONGEST_PROGRESS = 1000
_LEVELS = 4
"""Levels that joined lines keep apart; lines of more go with the first."""
_OVERHEAD = 40
"""What an event takes beside its text."""


@dataclass(slots=True, eq=False)
class _Said:
    text: str
    level: str | None
    """Of a line of the log; None: it is progress."""
    fraction: Any = None
    alone: bool = False


class Notes:
    """What one attempt tells."""

    __slots__ = (
        "_alone", "_attempt", "_closed", "_later", "_left_out", "_port", "_process", "_progress", "_queued", "_size",
        "_volume", "_waiting",
    )  # fmt: skip

    def __init__(self, process: Process, port: Port, attempt: Attempt) -> None:
        """Begin with nothing."""
        self._process = process
        self._port = port
        self._attempt = attempt
        self._alone = Bucket(ALONE)
        self._waiting: list[_Said] = []
        self._progress: _Said | None = None
        """Of what waits: the progress that is joined."""
        self._size = 0
        self._left_out = 0
        self._queued = False
        """Whether an input that will take what waits is on its way."""
        self._later = False
        self._closed = False
        self._volume = port.volume(attempt)

    def log(self, text: str, level: str) -> None:
        """Tell a line of the log, or several."""
        if len(text) > _MOST:
            text = self._process.gate.text(text[:_MOST], BLOCK)  # what was cut through isn't shown
        self._say(_Said(text, level), text.count("\n") + 1)

    def progress(self, fraction: float | None, message: str) -> None:
        """Tell how far the step is; of what is joined, the last counts."""
        if len(message) > _MOST:
            message = self._process.gate.text(message[:_MOST], _LONGEST_PROGRESS)
        self._say(_Said(message, None, fraction), 1)

    async def drain(self) -> None:
        """Wait until more may be told, after a lot was."""
        pause = self._volume.pause()
        if pause > 0:
            await anyio.sleep(pause)

    def close(self) -> None:
        """Tell all that still waits: the attempt is over."""
        self._closed = True
        self._tell_left_out("warning")
        self.flush()

    def flush(self) -> None:
        """Tell what has waited long enough."""
        self._later = False
        if self._waiting:
            self._put()

    def _say(self, said: _Said, lines: int) -> None:
        if not self._volume.take(len(said.text) + _OVERHEAD):
            self._left_out += lines
            return
        self._tell_left_out(said.level or "info")
        share = PROGRESS if said.level is None else 1.0
        said.alone = (not self._waiting or self._waiting[-1].alone) and self._alone.take(share)
        self._add(said)
        if said.alone or self._closed or self._size >= BLOCK:
            self._put()
        elif not (self._queued or self._later):
            self._later = True
            self._process.later(self)

    def _add(self, said: _Said) -> None:
        if said.level is None and not said.alone:
            if self._progress is not None:
                self._progress.text, self._progress.fraction = said.text, said.fraction
                return
            self._progress = said
        self._waiting.append(said)
        self._size += len(said.text)

    def _tell_left_out(self, level: str) -> None:
        if self._left_out:
            noun = "line" if self._left_out == 1 else "lines"
            self._add(_Said(f"… {self._left_out:,} {noun} left out", level))
            self._left_out = 0

    def _put(self) -> None:
        if not self._queued:
            self._queued = True
            self._port.tell(self._attempt, self)

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the events of what waits, up to a block while more may come; another input takes the rest."""
        self._queued = False
        said, size = self._waiting, 0
        for number, one in enumerate(said):
            size += len(one.text)
            if size >= BLOCK and not self._closed:
                said, self._waiting = said[: number + 1], said[number + 1 :]
                break
        else:
            self._waiting = []
        if self._progress not in self._waiting:
            self._progress = None
        self._size = sum(len(one.text) for one in self._waiting)
        if self._waiting:
            self._put()
        return list(self._events(said))

    def _events(self, said: Iterable[_Said]) -> Iterator[tuple[str, dict[str, Any]]]:
        gate = self._process.gate
        joined: dict[str, list[str]] = {}
        progress: list[_Said] = []
        for one in said:
            if one.level is None:
                progress.append(one)
            elif one.alone:
                yield from self._lines(one.level, one.text)
            else:
                known = one.level in joined or len(joined) < _LEVELS
                joined.setdefault(one.level if known else next(iter(joined)), []).append(one.text)
        for level, texts in joined.items():
            yield from self._lines(level, "\n".join(texts))
        for one in progress:
            message = gate.text(one.text, _LONGEST_PROGRESS)
            yield "step_progress", gate.data({"fraction": one.fraction, "message": message}, FIELD)

    def _lines(self, level: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
        gate = self._process.gate
        for piece in pieces(gate.text(text), TEXT):
            yield "step_log", {"text": piece, "level": gate.text(level, 20)}


class Later:
    """Tells a few times a second what steps have told too much of."""

    def __init__(self, new_event: Callable[[], anyio.Event]) -> None:
        """Begin with nobody."""
        self._new_event = new_event
        self._some = new_event()
        self._notes: list[Notable] = []

    def add(self, notes: Notable) -> None:
        """Let somebody have their turn."""
        self._notes.append(notes)
        self._some.set()

    async def tell(self) -> None:
        """Give everybody their turn; never ends by itself."""
        while True:
            await self._some.wait()
            await anyio.sleep(INTERVAL)
            self._some = self._new_event()
            notes, self._notes = self._notes, []
            for each in notes:
                each.flush()


def pieces(text: str, limit: int) -> Iterator[str]:
    """Cut a text between its lines into pieces of some length; a longer line is shortened."""
    start = 0
    while len(text) - start > limit:
        end = text.rfind("\n", start, start + limit + 1)
        if end < start:  # a line that is longer
            yield text[start : start + limit]
            after = text.find("\n", start + limit)
            if after < 0:
                return
            start = after + 1
        else:
            yield text[start:end]
            start = end + 1
    yield text[start:]
