"""What the engine's callers see: runs, waits, answers, plans of a retry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from agentflow.data import salvaged
from agentflow.engine.asked import asked_for
from agentflow.engine.unreadable import read_failure
from agentflow.errors import Failure
from agentflow.store.rows import TERMINAL, RunRow, State
from agentflow.store.views import TaskView
from agentflow.usage import NOTHING, Usage, usage_of

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    OutputT_co = TypeVar("OutputT_co", default=Any, covariant=True)
else:
    from typing import TypeVar

    OutputT_co = TypeVar("OutputT_co", covariant=True)
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Answer:
    """The value that a wait asked for."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Decline:
    """A refusal to answer: the step fails."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class ToolFailure:
    """The answer of a tool's holder that the tool failed."""

    message: str


@dataclass(frozen=True, slots=True)
class Connected:
    """Somebody has signed in: what waited for that looks again."""

    connection: str


Reply: TypeAlias = Answer | Connected | Decline | ToolFailure
"""What ends a wait."""


@dataclass(frozen=True)
class Run(Generic[OutputT_co]):
    """A run as it is now."""

    id: str
    workflow: str
    state: State
    reason: str | None
    input: Any
    output: OutputT_co
    failure: Failure | None
    entry_point: str | None
    owner: str
    context_id: str
    door: str
    labels: Mapping[str, str]
    parent_id: str | None
    root_id: str
    retry_of: str | None
    paused: bool
    message: str | None
    """Status message."""
    now_text: str | None
    """One line on what it does or why it failed."""
    definition: str
    """Hash of its definition."""
    holder: str | None
    seq: int
    """Number of its last event."""
    generation: int
    created_at: float
    updated_at: float
    ended_at: float | None
    tolerated: int = 0
    """How many failures were tolerated: what it gives lacks what these steps would have given."""
    tenant: str = ""
    agent: str = ""
    """Name of the config that its workflow comes from; empty for runs of versions that didn't keep it."""
    changed_at: float = 0.0
    """When its state last changed."""
    retention: float | None = None
    """Seconds that it is kept after its end; None: as long as whoever purges says."""
    usage: Usage = NOTHING
    """What its steps have used, and the runs below it: tokens, and what they cost."""

    def __repr__(self) -> str:
        """Return what people look for: the rest, such as times and owners, is among its fields."""
        shown = {"id": self.id, "workflow": self.workflow, "state": self.state, "input": self.input}
        shown["paused"], shown["output"] = self.paused or None, self.output
        shown["failure"] = self.failure.told if self.failure is not None else None
        told = ", ".join(f"{name}={value!r}" for name, value in shown.items() if value is not None)
        return f"{type(self).__name__}({told})"

    @property
    def ended(self) -> bool:
        """Whether it has come to its end."""
        return self.state in TERMINAL

    @property
    def waiting(self) -> bool:
        """Whether only an answer can move it on."""
        return self.state in {"input-required", "auth-required"}

    def output_as(self, model: type[M]) -> M:
        """Return the output as a pydantic model, a dataclass, a TypedDict or any other type.

        Raises:
            InputError: it doesn't fit.
        """
        from agentflow.engine.typed import typed  # noqa: PLC0415  only who wants types needs it

        return typed(self.output, model, f'the output of workflow "{self.workflow}"')


def run_view(row: RunRow, output: Any = None) -> Run:
    """Make the view of a stored run."""
    view = object.__new__(Run)  # a frozen dataclass sets its fields one by one, which takes three times as long
    vars(view).update({
        "id": row.id, "workflow": row.workflow, "state": row.state, "reason": row.reason, "input": salvaged(row.input),
        "output": output, "failure": read_failure(row.error), "entry_point": row.entry_point,
        "owner": row.owner, "context_id": row.context_id, "door": row.door, "labels": row.labels,
        "parent_id": row.parent_id, "root_id": row.root_id, "retry_of": row.retry_of, "paused": row.paused,
        "message": row.message, "now_text": row.now_text or None, "definition": row.definition, "holder": row.holder,
        "seq": row.seq, "generation": row.generation, "created_at": row.created_at, "updated_at": row.updated_at,
        "ended_at": row.ended_at, "tolerated": row.tolerated, "tenant": row.tenant, "agent": row.agent,
        "changed_at": row.changed_at, "retention": row.retention,
        "usage": NOTHING if row.usage is None else usage_of(salvaged(row.usage)),
    })  # fmt: skip
    return view


@dataclass(frozen=True, slots=True)
class WaitView:
    """A wait: what is asked, of whom, and what was answered."""

    id: str
    run_id: str
    root_id: str
    workflow: str
    step: str
    kind: str
    state: State
    message: str
    schema: Mapping[str, Any] | None
    has_default: bool
    default: Any
    assignees: tuple[str, ...]
    details: Mapping[str, Any]
    owner: str
    created_at: float
    expires_at: float | None
    answer: Any
    by: str | None
    door: str | None
    answered_at: float | None
    generation: int
    """Grows with each thing that happens to it."""
    tenant: str = ""
    """The owner's workspace."""

    @property
    def connection(self) -> str | None:
        """Of kind `auth`: what somebody is to sign in to, such as `google:drive`."""
        return asked_for(self.details)

    @property
    def url(self) -> str | None:
        """Of kind `auth`: where somebody signs in, as long as the wait is open; None: no page for it is served."""
        return self._text("url")

    @property
    def user_code(self) -> str | None:
        """Of kind `auth`: what is typed in there, where a code is."""
        return self._text("user_code")

    def _text(self, name: str) -> str | None:
        value = self.details.get(name)
        return value if isinstance(value, str) else None


def wait_view(view: TaskView) -> WaitView:
    """Make the view of a stored wait."""
    task = view.task
    details: dict[str, Any] = salvaged(task.details or b"", {})
    return WaitView(
        id=task.id, run_id=view.run_id, root_id=view.root_id, workflow=view.workflow, step=task.step, kind=task.kind,
        state=task.state, message=task.message or "", schema=salvaged(task.schema or b""),
        has_default="default" in details, default=details.get("default"),
        assignees=tuple(details.get("assignees", ())),
        details={k: v for k, v in details.items() if k not in {"default", "assignees"}}, owner=view.owner,
        created_at=task.created_at, expires_at=task.expires_at, answer=view.answer, by=view.by, door=view.door,
        answered_at=view.answered_at, generation=view.generation, tenant=view.tenant,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RetryPart:
    """How much a retry keeps of a loop, or of another step that holds steps."""

    step: str
    """Its address."""
    kept: int
    """How many of its iterations (of its steps, where it is no loop) are kept."""
    again: int | None
    """How many run again, or for the first time; None where that isn't known before."""
    of: str
    """What is counted: `iterations` or `steps`."""


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """What a retry would do, before it does it."""

    workflow: str
    from_step: str | None
    kept: list[str] = field(default_factory=list[str])
    """Addresses whose results are kept."""
    again: list[str] = field(default_factory=list[str])
    """Addresses that run again (or for the first time)."""
    parts: list[RetryPart] = field(default_factory=list[RetryPart])
    """Of those that run again: the ones that are kept in part, and inside them those that are, too."""
    asked: list[str] = field(default_factory=list[str])
    """Waits that are asked again."""
    unsafe: list[str] = field(default_factory=list[str])
    """Of those that run again: the ones with effects outside."""
    changed: list[str] = field(default_factory=list[str])
    """Of those that run again: the ones that the new definition changes or adds."""
    damaged: list[str] = field(default_factory=list[str])
    """Of those that run again: the ones whose stored results are damaged."""
    new_definition: bool = False
    """Whether it runs by another definition than the old run."""
    input: Any = None
