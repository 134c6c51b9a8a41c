"""What a run carries along beside its steps: values that were read, its shared keys, the last answer of a service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import anyio

from agentflow.data import decode, is_object
from agentflow.errors import StepError
from agentflow.store.rows import SharedRow, StepRow


class _Unread:
    def __repr__(self) -> str:
        return "UNREAD"


UNREAD = _Unread()
"""Marks a result that wasn't decoded yet."""


class Folded(NamedTuple):
    """What reducers of the user's made of the stored updates of a run."""

    updates: int
    """How many the run had then."""
    values: Mapping[str, Any]
    """By key; a StepError where the reducer is gone, or fails."""
    stale: frozenset[str] = frozenset()
    """Keys whose values are to be made anew."""


class Reduced(NamedTuple):
    """What a reducer of the user's made of two values."""

    old: Any
    new: Any
    value: Any


class Refolded(NamedTuple):
    """What a reducer of the user's made of all updates of a key."""

    rows: list[SharedRow]
    value: Any


@dataclass(frozen=True, slots=True)
class Worked:
    """What reducers made for a step that is to be completed, or a container that is to be tried again."""

    raw: bytes | None = None
    """The result of a step that has just been executed, as JSON."""
    reduced: Mapping[str, Reduced] = field(default_factory=dict[str, Reduced])
    refolded: Mapping[str, Refolded] = field(default_factory=dict[str, Refolded])


@dataclass(slots=True)
class Shared:
    """Shared keys of a run, folded."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    updates: list[SharedRow] = field(default_factory=list[SharedRow])
    broken: dict[str, StepError] = field(default_factory=dict[str, StepError])
    """Keys that can't be folded here, as their reducer is gone or fails: who reads or writes them fails."""
    stale: set[str] = field(default_factory=set[str])
    """Keys that a reducer of the user's is to fold anew, as updates were taken back: they keep their old values."""
    ahead: dict[str, Any] = field(default_factory=dict[str, Any])
    """Values of keys as they will be, when the steps whose reducers are through are taken in."""
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    """One step's reducers work at a time."""
    stored: Folded | None = None
    """Keys with a reducer of the user's, as the store has them."""

    def of(self, key: str) -> list[SharedRow]:
        """Return the updates of a key."""
        return [row for row in self.updates if row.key == key]

    def check(self, key: str) -> None:
        """Raise StepError for a key that can't be folded here."""
        error = self.broken.get(key)
        if error is not None:
            raise of_key(key, error)


def of_key(key: str, error: StepError) -> StepError:
    """Return what whoever needs a key fails with that can't be folded."""
    return StepError(
        f'shared key "{key}": {error.what}', code=error.code, kind=error.kind, retryable=error.retryable,
        why=error.why, hint=error.hint, data=error.data,
    )  # fmt: skip


class Seeds:
    """What a retry keeps of the run before it and hasn't come to yet: rows of steps, by address."""

    __slots__ = ("rows", "stored")

    def __init__(self, rows: Iterable[StepRow], *, stored: bool) -> None:
        """Keep rows; `stored` tells whether the store has them as they are here."""
        self.rows = {row.address: row for row in rows}
        self.stored = stored


class Response:
    """The result of the last api_call of a run: kept by itself, as the step may be let go."""

    __slots__ = ("_body", "_raw", "n")

    def __init__(self, n: int, raw: bytes) -> None:
        """Keep the result of step number `n`, as JSON."""
        self.n = n
        self._raw: bytes | None = raw
        self._body: Any = None

    @property
    def body(self) -> Any:
        """What the service answered."""
        if self._raw is not None:
            result = decode(self._raw)
            self._body, self._raw = result.get("body") if is_object(result) else None, None
        return self._body
