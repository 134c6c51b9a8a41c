"""What a run looks like while it goes: events in, rows and changes out. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from agentflow.cli.row import Row
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
TOLERATED = ("on_success", "on_failure")
"""Hooks whose failure changes nothing."""
_GO_ON = frozenset({"step_resumed", "step_started", "step_completed", "step_failed", "step_skipped", "step_canceled"})
"""Events after which a step doesn't wait for an answer any more."""
_ENDS = {"run_completed": "completed", "run_failed": "failed", "run_canceled": "canceled", "run_rejected": "rejected"}


def parent_of(address: str) -> str | None:
    """Return the address one level up: `fetch[3]/get` → `fetch[3]` → `fetch`; None at the top."""
    found = _PARENT.match(address)
    return found[1] or None if found else None


def above_of(address: str) -> Iterator[str]:
    """Yield the addresses of what is around one, from the inside out."""
    above = parent_of(address)
    while above is not None:
        yield above
        above = parent_of(above)


def is_item(address: str) -> bool:
    """Whether an address is an iteration of a loop."""
    return _ITEM.search(address) is not None


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
        self.apart: dict[str, float] = {}
        """Seconds in which it didn't work: `paused`, or only `waiting` for an answer."""
        self.position = 0
        """Place of the last event in the log."""
        self.rows: dict[tuple[str, str], Row] = {}
        self.all = Row(root_id, "", depth=-1)
        """Holds the top rows, and what is counted over all of them."""
        self._parents: dict[str, Row] = {}
        self._paused = False
        self._rests: tuple[str, float] | None = None
        self._waits: list[tuple[float, float]] = []
        """When it only waited for answers, from and until."""

    @property
    def worked(self) -> float | None:
        """How long it worked, where it has ended."""
        if self.started is None or self.ended is None:
            return None
        return max(self.ended - self.started - sum(self.apart.values()), 0.0)

    @property
    def ended_run(self) -> bool:
        """Whether the run has ended."""
        return self.state in TERMINAL

    def row(self, run_id: str, address: str) -> Row:
        """Return the row of a step, making it where it is new."""
        found = self.rows.get((run_id, address))
        if found is not None:
            return found
        return self._make(run_id, address, self._parent(run_id, address))

    def _make(self, run_id: str, address: str, parent: Row, *, made_up: bool = False) -> Row:
        item = is_item(address) and parent.address == parent_of(address) and parent.run_id == run_id
        row = Row(run_id, address, parent, item, made_up, parent.depth + 1)
        self.rows[run_id, address] = row
        parent.children.append(row)
        parent.standings["open"] = parent.standings.get("open", 0) + 1
        parent.items_seen += item
        return row

    def _parent(self, run_id: str, address: str) -> Row:
        above = parent_of(address)
        while above is not None:
            found = self.rows.get((run_id, above))
            if found is not None:
                return found
            loop = self.rows.get((run_id, parent_of(above) or "")) if is_item(above) else None
            if loop is not None:
                return self._make(run_id, above, loop, made_up=True)
            above = parent_of(above)
        return self._parents.get(run_id, self.all)

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
        if event.type == "run_started" and isinstance(data.get("parent_id"), str) and not self.knows(event.run_id):
            self.hang(event.run_id, data["parent_id"], str(data.get("parent_step")))
        if event.step is None:
            return self._run_event(event, data)
        row = self.row(event.run_id, event.step)
        what = self._step_event(row, event, data)
        row.moved()
        return Change(what, row, event)

    def _run_event(self, event: Event, data: dict[str, Any]) -> Change:
        mine = event.run_id == self.root_id and event.task_id == event.run_id
        if event.type == "hook_failed":
            around = self._parents.get(event.run_id, self.all)
            around.hooks += data.get("hook") in TOLERATED
            around.moved()
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
            self._paused = bool(data.get("paused", self._paused))
            self._set_state(data["state"], event.at)
        return Change("other", None, event)

    def _set_state(self, state: str, at: float) -> None:
        self.state = state
        if self._rests is not None:
            before, since = self._rests
            if before == "waiting":
                self._waits.append((since, at))
            self.apart[before] = self.apart.get(before, 0.0) + max(at - since, 0.0)
        waits = state in ("input-required", "auth-required")
        now = None if self.ended_run else "paused" if self._paused else "waiting" if waits else None
        self._rests = (now, at) if now is not None else None

    def _step_event(self, row: Row, event: Event, data: dict[str, Any]) -> What:
        kind = event.type
        if kind in _GO_ON:
            row.answered(event.at)
        if kind == "hook_failed":
            row.hooks += data.get("hook") in TOLERATED
            return "other"
        if kind == "step_started":
            if row.children and row.tries:
                row.restart()
            if row.started is None:
                row.started = event.at
            row.total, row.size, row.hooks = _int(data.get("items")), _int(data.get("steps")), 0
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
            row.ended, row.asked = None, event.at
            row.wait = str(data.get("wait_task_id") or event.task_id)
            row.message = str(data.get("message") or "") or None
            return "waiting"
        if kind == "step_resumed":
            row.state = "working"
            return "answered"
        return "other"

    def _end(self, row: Row, state: str, at: float) -> None:
        row.state, row.ended, row.due = state, at, None
        if row.children and row.started is not None:  # while something in it worked the run didn't wait
            row.waited = self._waiting(row.started, at)

    def _waiting(self, since: float, until: float) -> float:
        """Return for how long of a time the run only waited for answers."""
        total = 0.0
        if self._rests is not None and self._rests[0] == "waiting":
            total += max(until - max(self._rests[1], since), 0.0)
        for begin, end in reversed(self._waits):
            if end <= since:
                break
            total += max(min(end, until) - max(begin, since), 0.0)
        return total

    def active(self) -> list[Row]:
        """Return the top rows that are in progress."""
        return [row for row in self.all.going if not row.over]

    def tolerated(self) -> list[Row]:
        """Return the rows whose failure was tolerated, those with failed hooks included."""
        return [row for row in (self.all, *self.all.below()) if row.own.tolerated]


def _failure(data: dict[str, Any]) -> Failure | None:
    raw = data.get("error")
    if is_object(raw) and isinstance(raw.get("code"), str) and isinstance(raw.get("message"), str):
        return Failure.from_data(raw)
    return None


def _int(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
