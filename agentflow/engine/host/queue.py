"""What waits to be carried out: commands for trees, in order, and who waits until one has been committed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import anyio

from agentflow.engine.exchange import Done
from agentflow.engine.plan.commands import Command, Outcome


@dataclass(slots=True)
class Input:
    """A command for a tree."""

    root: int
    command: Command
    done: Done | None = None


Item: TypeAlias = Input | Outcome
"""Outcomes, which are the most frequent of all, go without an envelope."""


class Queue:
    """Commands that wait for the next flush."""

    def __init__(self, new_event: Callable[[], anyio.Event]) -> None:
        """Begin empty."""
        self.items: deque[Item] = deque()
        self.seen: set[int] = set()
        """Ids of the stored commands that are known here, until they are carried out."""
        self.inbox_due = False
        """Whether the store is to be asked for commands: a commit may have found the event that a wait is for."""
        self._new_event = new_event
        self._awake = new_event()
        self._woken = False

    def put(self, item: Item) -> None:
        """Leave something for the next flush."""
        self.items.append(item)
        self.wake()

    def put_first(self, items: Sequence[Item]) -> None:
        """Leave, in order and before others, what had to wait or is to be done again. Wakes nobody."""
        self.items.extendleft(reversed(items))

    def wake(self) -> None:
        """See to it that somebody flushes."""
        if not self._woken:  # asked for with every outcome: a flag costs less than to ask the event
            self._woken = True
            self._awake.set()

    async def wait(self) -> None:
        """Return when somebody is to flush."""
        await self._awake.wait()
        self._awake = self._new_event()
        self._woken = False

    def look_at_inbox(self) -> None:
        """Have the store asked for commands soon."""
        self.inbox_due = True
        self.wake()

    def refuse(self, item: Item) -> None:
        """Tell who waits for a command that the tree is somebody else's."""
        if item.done is not None:
            item.done.held = False
            item.done.event.set()
            if item.done.inbox is not None:
                self.seen.discard(item.done.inbox)

    def fail(self, items: Iterable[Item], error: Exception) -> list[Item]:
        """Tell who waits for commands why they weren't committed; returns the others.

        What lies in the store is read again from there. Who has brought an outcome goes on waiting.
        """
        others: list[Item] = []
        for item in items:
            if item.done is None or isinstance(item, Outcome):
                others.append(item)
                continue
            if item.done.inbox is not None:
                self.seen.discard(item.done.inbox)
                self.look_at_inbox()
            item.done.error = error
            item.done.event.set()
        return others
