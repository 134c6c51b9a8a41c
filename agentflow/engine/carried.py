"""What a run carries along beside its steps: values that were read, its shared keys, the last answer of a service."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agentflow.data import decode, is_object
from agentflow.errors import StepError
from agentflow.store.rows import SharedRow, StepRow


class _Unread:
    def __repr__(self) -> str:
        return "UNREAD"


UNREAD = _Unread()
"""Marks a result that wasn't decoded yet."""


@dataclass(slots=True)
class Shared:
    """Shared keys of a run, folded."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    updates: list[SharedRow] = field(default_factory=list[SharedRow])
    broken: dict[str, StepError] = field(default_factory=dict[str, StepError])
    """Keys that can't be folded here, as their reducer is gone or fails: who reads or writes them fails."""

    def check(self, key: str) -> None:
        """Raise StepError for a key that can't be folded here."""
        error = self.broken.get(key)
        if error is not None:
            raise StepError(
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
