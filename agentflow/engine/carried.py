"""What a run carries along beside its steps: values that were read, its shared keys, the last answer of a service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agentflow.data import decode, is_object
from agentflow.store.rows import SharedRow


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
