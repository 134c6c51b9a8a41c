"""What a run looks like while it goes: events in, rows and changes out. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from agentflow.data import is_object
from agentflow.errors import Failure
from agentflow.store.rows import (
    TERMINAL,
    Event,
)

What = Literal[
    "run_started", "started", "completed", "failed", "retrying", "skipped", "waiting", "answered", "run_ended", "other"
]
_PARENT = re.compile(r"^(.*)(?:/[^/\[\]#]+|\[\d+\]|#[^/\[\]#]+)$", re.DOTALL)
_ITEM = re.compile(r"\[\d+\]$")
_ENDS = {"run_completed": "completed", "run_failed": "failed", "run_canceled": "canceled", "run_rejected": "rejected"}


def parent_of(address: str) -> str | None:
    """Return the address one level up: `fetch[3]/get` → `fetch[3]` → `fetch`; None at the top."""
    found = _PARENT.match(address)
    return found[1] or None if found else None


def is_item(address: str) -> bool:
    """Whether an address is an iteration of a loop."""
    return _ITEM.search(address) is not None


@dataclass(slots=True)
class Row:
    """One step, as far as its events tell."""

    run_id: str
    address: str
    state: str = "submitted"
    reason: str | None = None
    started: float | None = None
    ended: float | None = None
    tries: int = 0
    failures: list[Failure] = field(default_factory=list[Failure])
    tried_at: list[float] = field(default_factory=list[float])
    due: float | None = None
    """When its next attempt or its timer is due."""
    wait: str | None = None
    message: str | None = None
    total: int | None = None
    """Of a loop: how many items there are."""
    parent: Row | None = None
    children: list[Row] = field(default_factory=list["Row"])
    items_seen: int = 0
    made_up: bool = False
    """An iteration that has no events of its own: it holds its steps."""

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        if self.started is None or self.ended is None:
            return None
        return max(self.ended - self.started, 0.0)

    @property
    def depth(self) -> int:
        """How many steps are around it."""
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def is_loop(self) -> bool:
        """Whether its children are iterations."""
        return self.items_seen > 0 or self.total is not None

    @property
    def progress(self) -> tuple[int, int] | None:
        """Done and all iterations of a loop."""
        if not self.is_loop:
            return None
        everything = max(self.total or 0, self.items_seen)
        if self.state == "completed":
            return everything, everything
        return sum(1 for child in self.children if is_item(child.address) and child.over), everything

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        if self.made_up:
            return bool(self.children) and all(child.over for child in self.children)
        return self.state in TERMINAL

    def below(self) -> Iterator[Row]:
        """Yield all rows inside it, outer ones first."""
        stack = list(reversed(self.children))
        while stack:
            row = stack.pop()
            yield row
            stack.extend(reversed(row.children))


class Change(NamedTuple):
    """What one event changed."""

    what: What
    row: Row | None
    event: Event


class RunTree:
    """A root run and what is known of its steps; child runs hang below the step that started them."""

    def __init__(self, root_id: str) -> None:
        """Begin with nothing known."""
        self.root_id = root_id
        self.state = "working"
        self.failure: Failure | None = None
        self.started: float | None = None
        self.ended: float | None = None
        self.waited = 0.0
        """Seconds in which the run could only wait for an answer."""
        self.position = 0
        """Place of the last event in the log."""
        self.rows: dict[tuple[str, str], Row] = {}
        self.top: list[Row] = []
        self._parents: dict[str, Row] = {}
        self._parked_at: float | None = None

    @property
    def ended_run(self) -> bool:
        """Whether the run has ended."""
        return self.state in TERMINAL

    def row(self, run_id: str, address: str) -> Row:
        """Return the row of a step, making it where it is new."""
        found = self.rows.get((run_id, address))
        if found is not None:
            return found
        row = self.rows[run_id, address] = Row(run_id, address)
        row.parent = self._parent(run_id, address)
        if row.parent is None:
            self.top.append(row)
        else:
            row.parent.children.append(row)
            if self._counts(row):
                row.parent.items_seen += 1
        return row

    def _parent(self, run_id: str, address: str) -> Row | None:
        above = parent_of(address)
        while above is not None:
            found = self.rows.get((run_id, above))
            if found is not None:
                return found
            if is_item(above) and (run_id, parent_of(above) or "") in self.rows:
                item = self.row(run_id, above)
                item.made_up = True
                item.state = "working"
                return item
            above = parent_of(above)
        return self._parents.get(run_id)

    def _counts(self, row: Row) -> bool:
        return is_item(row.address) and row.parent is not None and row.parent.address == parent_of(row.address)

    def knows(self, run_id: str) -> bool:
        """Whether events of this run have a place: it is the root, or hangs below a known step."""
        return run_id == self.root_id or run_id in self._parents

    def hang(self, run_id: str, parent_run: str, address: str) -> None:
        """Tell which step started a child run."""
        self._parents[run_id] = self.row(parent_run, address)

    def apply(self, event: Event) -> Change:
        """Take in one event."""
        self.position = max(self.position, event.pos)
        data: dict[str, Any] = event.data if is_object(event.data) else {}
        if event.step is None:
            return self._run_event(event, data)
        row = self.row(event.run_id, event.step)
        return Change(self._step_event(row, event, data), row, event)

    def _run_event(self, event: Event, data: dict[str, Any]) -> Change:
        mine = event.run_id == self.root_id and event.task_id == event.run_id
        if event.type == "run_started":
            if mine:
                self.started = event.at
            return Change("run_started" if mine else "other", None, event)
        if not mine:
            return Change("other", None, event)
        if event.type in _ENDS:
            self._set_state(str(data.get("state") or _ENDS[event.type]), event.at)
            self.ended = event.at
            self.failure = _failure(data)
            return Change("run_ended", None, event)
        if event.type == "run_status" and isinstance(data.get("state"), str):
            self._set_state(data["state"], event.at)
        return Change("other", None, event)

    def _set_state(self, state: str, at: float) -> None:
        self.state = state
        parked = state in ("input-required", "auth-required")
        if parked and self._parked_at is None:
            self._parked_at = at
        elif not parked and self._parked_at is not None:
            self.waited += max(at - self._parked_at, 0.0)
            self._parked_at = None

    def _step_event(self, row: Row, event: Event, data: dict[str, Any]) -> What:
        kind = event.type
        if kind == "step_started":
            if row.started is None:
                row.started = event.at
            row.state, row.reason, row.due = "working", None, None
            row.tries = _int(data.get("attempt")) or row.tries + 1
            row.tried_at.append(event.at)
            return "started"
        if kind == "step_retrying":
            row.due = event.at + (_float(data.get("delay")) or 0.0)
            row.state = "working"
            return "retrying"
        if kind == "step_failed":
            failure = _failure(data)
            if failure is not None:
                row.failures.append(failure)
            if data.get("will_retry"):
                return "other"
            if data.get("tolerated"):
                row.reason = "tolerated"
            self._end(row, "canceled" if data.get("tolerated") else "failed", event.at)
            return "failed"
        if kind == "step_completed":
            self._end(row, "completed", event.at)
            return "completed"
        if kind in ("step_skipped", "step_canceled"):
            row.reason = str(data.get("reason") or "") or None
            self._end(row, "canceled", event.at)
            return "skipped"
        if kind == "step_waiting":
            row.state = str(data.get("state") or "input-required")
            row.started = event.at if row.started is None else row.started
            row.ended = None
            row.wait = str(data.get("wait_task_id") or event.task_id)
            row.message = str(data.get("message") or "") or None
            return "waiting"
        if kind == "step_resumed":
            row.state = "working"
            return "answered"
        return "other"

    @staticmethod
    def _end(row: Row, state: str, at: float) -> None:
        row.state, row.ended, row.due = state, at, None

    def active(self) -> list[Row]:
        """Return the top rows that haven't ended."""
        return [row for row in self.top if not row.over and row.state != "submitted"]


def retrying(row: Row) -> int:
    """Return how many steps inside a row wait for their next attempt."""
    return sum(1 for each in row.below() if each.due is not None and not each.over and each.failures)


def _failure(data: dict[str, Any]) -> Failure | None:
    raw = data.get("error")
    if is_object(raw) and isinstance(raw.get("code"), str) and isinstance(raw.get("message"), str):
        return Failure.from_data(raw)
    return None


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
