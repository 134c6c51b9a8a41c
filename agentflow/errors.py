"""Every error the product reports, and what each means at each door.

```text
AgentflowError            code, what, why, hint; one row in `codes.CODES` says how each door shows it
├── DefinitionError       a config or a workflow isn't valid; carries every `Problem`
├── InputError            an input or an answer doesn't fit its schema, or is too large
├── NotFoundError         no such run, workflow, wait, step
├── ConflictError         answered already, key used with other input, illegal transition
├── StoreError            the database can't be opened, read or written
├── StepError             raised by a step: fails it, with `retryable` and a kind that retry policies name
├── RunFailedError        what `agentflow.run` ran didn't complete; carries the run
└── Defect                a fault of agentflow itself
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Severity = Literal["error", "warning"]
FailureKind = Literal[
    "network", "timeout", "http", "exit", "exception", "reference", "invalid", "skill", "wait", "crash", "canceled"
]
"""What a failure comes from. Retry policies name the first five."""


class Place(NamedTuple):
    """Where something stands in a file: line and column count from 1; `length` is what a caret underlines."""

    file: str
    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a definition or a value."""

    code: str
    message: str
    """What is wrong, one sentence in the user's words."""
    pointer: str = ""
    """JSON pointer to the value, from the root of the document."""
    place: Place | None = None
    label: str | None = None
    """Short text beside the caret, such as `did you mean "timeout"?`."""
    hint: str | None = None
    severity: Severity = "error"
    count: int = 1
    """How many problems it stands for: of very many, the last ones are told as one."""
    workflow: str | None = None
    """The workflow of a config that it is in, where it is in one."""


class AgentflowError(Exception):
    """Root of every error that agentflow raises on purpose."""

    default_code = "AF-FAILED"

    def __init__(
        self,
        what: str,
        *,
        code: str | None = None,
        why: str | None = None,
        hint: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Make an error.

        Args:
            what: what happened, one sentence in the user's words.
            code: a code of `codes.CODES`; default: the class's own.
            why: values, limits or the other side's answer, already shortened and redacted.
            hint: a command or an edit that can be pasted.
            data: machine-readable details for doors that carry them.
        """
        super().__init__(what)
        if hint:
            self.add_note(f"  hint: {hint}")  # what Python prints of an exception that nobody catches
        self.what = what
        self.code = code or self.default_code
        self.why = why
        self.hint = hint
        self.data: Mapping[str, Any] = data or {}

    def __str__(self) -> str:
        """Return what happened and why, in one line, as logs have it."""
        why = "; ".join(line.strip(" ;") for line in self.why.splitlines()) if self.why else ""
        return f"{self.what.removesuffix('.')}: {why}" if why else self.what


class DefinitionError(AgentflowError):
    """A config or a workflow isn't valid."""

    default_code = "AF-CONFIG-INVALID"

    def __init__(self, problems: Sequence[Problem], what: str | None = None) -> None:
        """Make an error of all problems, in the order of their place."""
        errors = [p for p in problems if p.severity == "error"]
        super().__init__(what or "; ".join(p.message for p in errors), code=errors[0].code if errors else None)
        for problem in errors:
            if (place := problem.place) is not None:
                self.add_note(f"  {place.file}:{place.line}:{place.column}: {problem.message}")
            for told in filter(None, (problem.label, problem.hint)):
                self.add_note(f"  hint: {told}" if len(errors) == 1 else f"  {problem.message}: {told}")
        self.problems = tuple(problems)


class InputError(AgentflowError):
    """An input or an answer doesn't fit its schema, or is too large."""

    default_code = "AF-INPUT-INVALID"


class NotFoundError(AgentflowError):
    """There is no such run, workflow, wait or step."""

    default_code = "AF-RUN-UNKNOWN"


class ConflictError(AgentflowError):
    """The state of things doesn't allow it: answered already, key used with other input, not paused."""

    default_code = "AF-CONFLICT"


class StoreError(AgentflowError):
    """The database can't be opened, read or written."""

    default_code = "AF-STORE-FAILED"


class Defect(AgentflowError):
    """A fault of agentflow itself."""

    default_code = "AF-DEFECT"


class StepError(AgentflowError):
    """Raised inside a step: it fails the step, and a retry policy may repeat it."""

    default_code = "AF-STEP-FAILED"

    def __init__(
        self,
        what: str,
        *,
        code: str | None = None,
        kind: FailureKind = "exception",
        retryable: bool = True,
        retry_after: float | None = None,
        why: str | None = None,
        hint: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Make a step's error.

        Args:
            what: what happened, one sentence.
            code: a code of `codes.CODES`.
            kind: what it comes from, as retry policies name it under `on`.
            retryable: False ends every retry policy.
            retry_after: seconds that the other side asked to wait.
            why: the other side's answer, shortened.
            hint: what to do.
            data: machine-readable details.
        """
        super().__init__(what, code=code, why=why, hint=hint, data=data)
        self.kind: FailureKind = kind
        self.retryable = retryable
        self.retry_after = retry_after


class RunFailedError(AgentflowError):
    """The run of `agentflow.run` didn't complete."""

    default_code = "AF-RUN-STUCK"

    def __init__(
        self, what: str, run: Any, *, code: str | None = None, why: str | None = None, hint: str | None = None
    ) -> None:
        """Make an error of a run."""
        super().__init__(what, code=code, why=why, hint=hint)
        self.run = run
        """The run as it ended, with its `id`, `state` and `failure`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step or a run failed, as it is stored and shown at every door."""

    code: str
    message: str
    kind: FailureKind = "exception"
    retryable: bool = True
    step: str | None = None
    """Address of the step that failed first."""
    why: str | None = None
    hint: str | None = None
    retry_after: float | None = None
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def told(self) -> str:
        """Its message, with the place in the user's code where that is known: `ValueError: no (lib.py:1)`."""
        place = self.data.get("at")
        return f"{self.message} ({place})" if isinstance(place, str) else self.message

    def to_data(self) -> dict[str, Any]:
        """Return its JSON form, without empty fields."""
        names = ("code", "message", "kind", "retryable", "step", "why", "hint", "retry_after", "data")
        return {name: value for name in names if (value := getattr(self, name)) not in (None, {})}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Failure:
        """Read the JSON form back; fields of newer versions are left out."""
        known = {name: data[name] for name in cls.__slots__ if name in data}
        return cls(**known)


def denial_in(error: BaseException | None) -> StepError | None:
    """Return the refusal by network rules that an error of a connection stands for; None: it is another one."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, StepError) and error.code == "AF-NETWORK-DENIED":
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None
