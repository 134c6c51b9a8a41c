"""Published events of the memory store, and which of them waits of a tree have taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from agentflow.data import decode
from agentflow.store.contract import Matches
from agentflow.store.rows import SubscriptionRow


class Published(NamedTuple):
    """One published event."""

    pos: int
    at: float
    raw: bytes
    id: str | None


class Topics:
    """Published events by owner and topic.

    Waits that open together take nothing from each other: what they take is noted when all of them have looked.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.last = 0
        self._events: defaultdict[tuple[str, str], dict[int, Published]] = defaultdict(dict)
        """In order of their positions."""
        self._ids: set[tuple[str, str]] = set()
        self._taken: defaultdict[int, dict[int, set[str]]] = defaultdict(dict)
        self.answered: set[int] = set()
        """Roots of trees that got an event as they opened a wait, in this commit."""
        self._noted: list[tuple[int, int, str]] = []

    def publish(self, owner: str, topic: str, raw: bytes, event_id: str | None, at: float) -> int | None:
        """Keep an event; returns its position, None where the owner has published one of this id."""
        if event_id is not None:
            if (owner, event_id) in self._ids:
                return None
            self._ids.add((owner, event_id))
        self.last += 1
        self._events[owner, topic][self.last] = Published(self.last, at, raw, event_id)
        return self.last

    def earliest(self, root: int, heard: int, row: SubscriptionRow, matches: Matches) -> Any | None:
        """Return, in a tuple, the data of the earliest event that a wait wants and no wait of its tree has taken."""
        wanted = None if row.filter is None else decode(row.filter)
        taken = self._taken[root]
        for event in self._candidates(heard, row):
            if event.pos in taken:
                continue
            data = decode(event.raw)
            if wanted is None or matches(wanted, data):
                self.answered.add(root)
                self._noted.append((root, event.pos, row.task))
                return (data,)
        return None

    def _candidates(self, heard: int, row: SubscriptionRow) -> Iterator[Published]:
        for event in self._events[row.owner, row.topic].values():
            if event.pos > heard or (row.since is not None and event.at >= row.since):
                yield event

    def take(self, root: int, pos: int, task: str) -> None:
        """Note that a wait of a tree has taken an event."""
        self._noted.append((root, pos, task))

    def write(self) -> None:
        """Let what was noted count."""
        for root, pos, task in self._noted:
            self._taken[root].setdefault(pos, set()).add(task)
        self._noted.clear()
        self.answered.clear()

    def give_back(self, root: int, task: str) -> None:
        """Note that a wait ended otherwise before its step heard of the event that it had taken."""
        taken = self._taken[root]
        for pos in [pos for pos, tasks in taken.items() if task in tasks]:
            taken[pos].discard(task)
            if not taken[pos]:
                del taken[pos]

    def forget_tree(self, root: int) -> None:
        """Forget what an ended tree has taken."""
        self._taken.pop(root, None)

    def forget(self, before: float, heard: int) -> None:
        """Forget events that are older than a time, and not after a position."""
        for (owner, _), events in self._events.items():
            for event in [event for event in events.values() if event.at < before and event.pos <= heard]:
                del events[event.pos]
                if event.id is not None:
                    self._ids.discard((owner, event.id))
