"""What an evaluation reads, and how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from agentflow.errors import AgentflowError, StepError

NAMESPACES: frozenset[str] = frozenset({"input", "steps", "env", "item", "index", "with", "run", "context"})
"""Names that a reference may begin with, besides the names of items."""


class _Nulled:
    def __repr__(self) -> str:
        return "NULLED"


NULLED = _Nulled()
"""The result of a step that was allowed not to run: it is null, and so is everything below it."""


class View(Protocol):
    """What templates and conditions see from one place in a run."""

    def get(self, namespace: str) -> object:
        """Return the value of a namespace other than `steps`; raises KeyError if it isn't bound here."""
        ...

    def step(self, step_id: str) -> object:
        """Return a step's result, or NULLED; raises KeyError (with the reason) if it has none."""
        ...

    def optional(self, namespace: str, path: tuple[str | int, ...]) -> bool:
        """Tell whether a missing value is declared by its schema as one that may be left out."""
        ...

    def search(self, name: str) -> object:
        """Return distri's `{context.name}`; raises KeyError."""
        ...


class ExpressionError(AgentflowError):
    """A template or a condition can't be compiled."""

    default_code = "AF-TEMPLATE-SYNTAX"

    def __init__(
        self,
        what: str,
        *,
        code: str | None = None,
        offset: int = 0,
        length: int = 1,
        value_path: tuple[str | int, ...] = (),
        hint: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Make an error.

        Args:
            what: what is wrong.
            code: default AF-TEMPLATE-SYNTAX.
            offset: where in the string, from 0.
            length: how many characters it is about.
            value_path: where in the template value the string stands.
            hint: what to write instead.
            data: machine-readable details.
        """
        super().__init__(what, code=code, hint=hint, data=data)
        self.offset = offset
        self.length = length
        self.value_path = value_path


class ReferenceMissing(StepError):
    """A reference has no value when it is needed."""

    default_code = "AF-REF-MISSING"

    def __init__(self, what: str, *, hint: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Make an error; another attempt won't mend it."""
        super().__init__(what, kind="reference", retryable=False, hint=hint, data=data)
