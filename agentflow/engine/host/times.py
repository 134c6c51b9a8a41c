"""What is due when: deadlines of running steps, and the earliest of the timers that the store keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

import anyio

from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.store.rows import TimerRow


class Times:
    """Knows what comes next."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Know of nothing yet."""
        self.earliest: float | None = None
        """Earliest time of the timers that were committed since somebody looked."""
        self.scope: anyio.CancelScope | None = None
        """Of whoever sleeps until the next time."""
        self._now = now
        self._deadlines: list[tuple[float, int, int, int]] = []
        self._timed: set[tuple[int, int, int]] = set()
        """(run, step, attempt) of those that still run: deadlines of others are void."""

    def changed(self) -> None:
        """Wake whoever sleeps until the next time."""
        if self.scope is not None:
            self.scope.cancel()

    def deadline(self, run: RunState, node: Node) -> None:
        """Note when a running step has to be interrupted."""
        due = self._now() + (node.program.timeout or 0.0)
        self._timed.add((run.key, node.n, node.attempt))
        heappush(self._deadlines, (due, run.key, node.n, node.attempt))
        self.note(due)

    def note(self, due: float) -> None:
        """Note that something is due at a time."""
        if self.earliest is None or due < self.earliest:
            self.earliest = due
            self.changed()

    def look(self) -> None:
        """See to it that somebody looks for what is due now."""
        self.note(self._now())

    def new_timers(self, timers: Sequence[TimerRow]) -> None:
        """Note timers that were committed."""
        self.note(min(timer.due for timer in timers))

    def first_deadline(self) -> float | None:
        """Return the earliest deadline of a running step."""
        while self._deadlines and self._deadlines[0][1:] not in self._timed:
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def stopped(self, run: int, n: int, attempt: int) -> None:
        """Note that a step with a deadline runs no more."""
        self._timed.discard((run, n, attempt))
        if len(self._deadlines) > 2 * len(self._timed) + 64:  # else those of long timeouts would pile up
            self._deadlines = [item for item in self._deadlines if item[1:] in self._timed]
            heapify(self._deadlines)

    def overdue(self, now: float) -> list[tuple[int, int, int]]:
        """Take the (run, step, attempt) whose deadline has passed."""
        found: list[tuple[int, int, int]] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, run, n, attempt = heappop(self._deadlines)
            found.append((run, n, attempt))
        return found
