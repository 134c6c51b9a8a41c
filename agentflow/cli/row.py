"""One step as it looks while its run goes. What is counted about the steps inside it is kept, never counted anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from agentflow.engine.counts import SATISFIED
from agentflow.errors import Failure
from agentflow.store.rows import TERMINAL

Standing = Literal["open", "done", "failed", "stopped"]
"""How a step counts for what is around it. `failed`: it failed, or what it gives lacks something that failed."""


@dataclass(slots=True)
class Sums:
    """What is counted over a row and everything inside it."""

    tolerated: int = 0
    """Failures that were tolerated."""
    again: int = 0
    """Steps that wait for their next attempt."""
    shown: int = 0
    """Steps that the live view may show."""


@dataclass(slots=True, eq=False)
class Row:
    """One step, as far as its events tell."""

    run_id: str
    address: str
    parent: Row | None = None
    item: bool = False
    """Whether it is an iteration of the loop that is its parent."""
    made_up: bool = False
    """An iteration that has no events of its own: it holds its steps."""
    depth: int = 0
    """How many steps are around it."""
    state: str = "submitted"
    reason: str | None = None
    started: float | None = None
    ended: float | None = None
    waited: float = 0.0
    """Seconds of its time in which it only waited for an answer."""
    asked: float | None = None
    """Since when it waits for one."""
    tries: int = 0
    failures: list[Failure] = field(default_factory=list[Failure])
    tried_at: list[float] = field(default_factory=list[float])
    due: float | None = None
    """When its next attempt or its timer is due."""
    wait: str | None = None
    message: str | None = None
    hooks: int = 0
    """How many of its hooks failed, which is tolerated."""
    total: int | None = None
    """Of a loop: how many items there are."""
    size: int | None = None
    """Of a loop: how many steps an iteration has."""
    children: list[Row] = field(default_factory=list["Row"])
    items_seen: int = 0
    standing: Standing = "open"
    standings: dict[Standing, int] = field(default_factory=dict[Standing, int])
    """How many of its children stand how."""
    own: Sums = field(default_factory=Sums)
    sums: Sums = field(default_factory=Sums)
    going: dict[Row, None] = field(default_factory=dict["Row", None])
    """Children that the live view may show, or that hold such a one."""

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        if self.started is None or self.ended is None:
            return None
        return max(self.ended - self.started, 0.0)

    def answered(self, at: float) -> None:
        """Count the time for which it has waited, if it did: it goes on, or has ended."""
        if self.asked is not None:
            self.waited += max(at - self.asked, 0.0)
            self.asked = None

    @property
    def is_loop(self) -> bool:
        """Whether its children are iterations."""
        return self.items_seen > 0 or self.total is not None

    @property
    def everything(self) -> int:
        """How many items a loop has, as far as it is known."""
        return max(self.total or 0, self.items_seen)

    @property
    def progress(self) -> tuple[int, int] | None:
        """Done and all iterations of a loop."""
        if not self.is_loop:
            return None
        if self.state == "completed":  # iterations that an older run's log doesn't tell of have ended too
            return self.everything - self.failed_items, self.everything
        return self.standings.get("done", 0), self.everything

    @property
    def failed_items(self) -> int:
        """How many iterations of a loop failed."""
        return self.standings.get("failed", 0)

    @property
    def retrying(self) -> int:
        """How many steps inside it wait for their next attempt."""
        return self.sums.again - self.own.again

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.stands() != "open"

    def below(self) -> Iterator[Row]:
        """Yield all rows inside it, outer ones first."""
        stack = list(reversed(self.children))
        while stack:
            row = stack.pop()
            yield row
            stack.extend(reversed(row.children))

    def stands(self) -> Standing:
        """Return how it counts for what is around it."""
        if self.made_up:
            return self._stands_by_its_steps()
        if self.state not in TERMINAL:
            return "open"
        if self.state == "failed" or self.sums.tolerated:
            return "failed"
        return "done" if self.state == "completed" or self.reason in SATISFIED else "stopped"

    def _stands_by_its_steps(self) -> Standing:
        failed, stopped = self.standings.get("failed", 0), self.standings.get("stopped", 0)
        ended = failed + stopped + self.standings.get("done", 0)
        if ended < len(self.children) or ended == 0:
            return "open"
        if failed:
            return "failed"
        if stopped:
            return "stopped"
        size = self.parent.size if self.parent is not None else None
        return "done" if size is None or ended >= size else "open"

    def counts(self) -> Sums:
        """Return what it counts for itself, as it is now."""
        ended = self.state in TERMINAL
        return Sums(
            tolerated=int(self.reason == "tolerated") + self.hooks,
            again=int(self.due is not None and not ended and bool(self.failures)),
            shown=int(not self.made_up and self.state not in ("submitted", "completed", "canceled")),
        )

    def moved(self) -> None:
        """Carry a change of it up to what is around it: as many steps as it is deep."""
        now, old = self.counts(), self.own
        more = Sums(now.tolerated - old.tolerated, now.again - old.again, now.shown - old.shown)
        self.own = now
        self._add(more)
        self._stand()

    def _add(self, more: Sums) -> None:
        if not (more.tolerated or more.again or more.shown):
            return
        row: Row | None = self
        while row is not None:
            row.sums.tolerated += more.tolerated
            row.sums.again += more.again
            row.sums.shown += more.shown
            if row.parent is not None:
                if row.sums.shown:
                    row.parent.going[row] = None
                else:
                    row.parent.going.pop(row, None)
            row = row.parent

    def _stand(self) -> None:
        row: Row | None = self
        while row is not None:
            now, old = row.stands(), row.standing
            if now == old:
                return
            row.standing = now
            around = row.parent
            if around is not None:
                around.standings[old] = around.standings.get(old, 0) - 1
                around.standings[now] = around.standings.get(now, 0) + 1
            row = around

    def restart(self) -> None:
        """Forget what its steps came to: it is entered again after a failed attempt."""
        gone = Sums(self.own.tolerated - self.sums.tolerated, self.own.again - self.sums.again,
                    self.own.shown - self.sums.shown)  # fmt: skip
        self._add(gone)
        for row in (self, *self.below()):
            if row is not self:
                row.state, row.reason, row.due, row.hooks, row.standing = "submitted", None, None, 0, "open"
                row.started = row.ended = row.asked = None
                row.waited = 0.0
                row.own, row.sums = Sums(), Sums()
            row.standings = {"open": len(row.children)}
            row.going = {}
