"""What a connection has written itself and needn't read again, while no other connection commits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from agentflow.store.rows import State

_MOST_HEADS = 4096


class Head:
    """The part of a run's row that every commit reads and changes."""

    __slots__ = ("epoch", "extras", "generation", "root", "seq", "state", "timed", "updated_at")

    def __init__(self, values: Sequence[Any]) -> None:
        """Take the values of `sql.HEAD`."""
        self.root: int = values[0]
        self.seq: int = values[1]
        self.generation: int = values[2]
        self.extras: int = values[3]
        self.updated_at: float = values[4]
        self.epoch: int = values[5]
        self.state: State = values[6]
        self.timed = self.seq > 0
        """Of a root: whether its tree may have timers. One that was created here has none before some are set."""


class RowCache:
    """Rows as the last transaction of this connection has left them."""

    __slots__ = ("definitions", "heads", "heard", "pos")

    def __init__(self) -> None:
        """Know nothing."""
        self.heads: dict[int, Head] = {}
        self.definitions: set[str] = set()
        """Hashes of definitions that are stored."""
        self.pos = -1
        """Position of the last event; below 0: not known."""
        self.heard = -1
        """Position of the last published event; below 0: not known."""

    def clear(self) -> None:
        """Know nothing any more: another connection has committed, or what was written was rolled back."""
        self.heads.clear()
        self.definitions.clear()
        self.pos = self.heard = -1

    def forget(self, runs: Iterable[int]) -> None:
        """Forget runs that nobody will ask for soon."""
        for run in runs:
            self.heads.pop(run, None)
        if len(self.heads) > _MOST_HEADS:
            self.heads.clear()
        if len(self.definitions) > _MOST_HEADS:
            self.definitions.clear()
