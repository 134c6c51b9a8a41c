"""The rows that a store keeps, and the views that it gives: named tuples, so that a driver can take them as they are.

Inside, runs have integer keys and steps integer numbers; text ids and addresses are for the doors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

from agentflow.store.acknowledgement import Stamp
from agentflow.store.slot_rows import Grant, SlotRow
from agentflow.store.usage_rows import Used

T = TypeVar("T")
State = Literal[
    "submitted", "working", "input-required", "auth-required", "completed", "failed", "canceled", "rejected"
]
ENDED: frozenset[State] = frozenset[State]({"completed", "failed", "canceled", "rejected"})
TERMINAL: frozenset[str] = frozenset[str](ENDED)
TaskKind = Literal["run", "input", "event", "tool", "auth", "operator", "agent"]
Phase = Literal["run", "timer", "backoff", "wait", "scope", "child", "kept"]
"""Executes, or waits for a time, its next attempt, an answer, its steps, a child run, its turn: `kept` by retries."""


class StepRow(NamedTuple):
    """One step of a run, as it is now. A step that was never reached has no row."""

    run: int
    n: int
    """Number of the step in its run; with `run` the key of the row."""
    address: str
    state: State
    reason: str | None = None
    phase: Phase | None = None
    attempt: int = 0
    tries: int = 0
    entry: int = 0
    crashes: int = 0
    """How many deaths of a host it was running in."""
    task: str | None = None
    """Id of its open wait's task, or of its child run."""
    started_at: float | None = None
    ended_at: float | None = None
    error: bytes | None = None
    """JSON of a `Failure`. None on an update clears it."""
    memo: bytes | None = None
    """JSON: a container's decisions, a saved state. On an update None keeps what is there, `b""` clears it."""
    result: bytes | None = None
    """JSON. None on an update keeps what is there."""
    ended_order: int = 0
    """Position among the run's steps in the order in which they ended: times can be equal, and go back."""


class EventRow(NamedTuple):
    """One event to append to a run's log. The store gives it `pos`, `seq` and, where `bumps`, a generation."""

    type: str
    step: str | None
    """Address."""
    data: bytes | None
    at: float
    task: str | None = None
    """Task it is about; None: the run's own task."""
    bumps: bool = False
    """It changes a task's state or artifacts: that task's generation grows by one."""


class Event(NamedTuple):
    """One stored event."""

    pos: int
    """Its place in the store: see `contract.Reads`."""
    run: int
    run_id: str
    seq: int
    task_id: str
    generation: int | None
    type: str
    step: str | None
    data: Any
    at: float


HELD = 1e11
"""Added to the due times of a paused run's timers, later than any real time; unpausing takes it off again."""


class TimerRow(NamedTuple):
    """A time at which something is due in a run."""

    due: float
    run: int
    n: int
    """Step it is for; -1: the run itself."""
    kind: str
    """`timer`, `backoff`, `timeout` (of an open wait), `scope_timeout`."""
    entry: int = 0
    """Entry of the step that set it: an older timer is ignored."""


class TaskRow(NamedTuple):
    """A task that isn't a run: a wait, or an agent's turn."""

    id: str
    run: int
    n: int
    """Step it stands for."""
    step: str
    """Address of that step."""
    kind: TaskKind
    state: State
    message: str | None = None
    schema: bytes | None = None
    """JSON Schema of the answer."""
    details: bytes | None = None
    """JSON: default, assignees, tool and input, remote ids."""
    expires_at: float | None = None
    created_at: float = 0.0
    updated_at: float = 0.0
    """When its state last changed."""
    assignees: Sequence[str] = ()
    """Who may see and answer it besides the run's owner: owners, and `group:NAME`."""


class SharedRow(NamedTuple):
    """One update of a shared key."""

    run: int
    key: str
    address: str
    value: bytes


class SubscriptionRow(NamedTuple):
    """An open wait for an event. Its `filter` is JSON, a mapping of values or a condition; None: any event."""

    task: str
    run: int
    n: int
    topic: str
    filter: bytes | None
    since: float | None = None
    """Events published at or after this time count too; those since the root's creation always do."""
    owner: str = "local"
    tenant: str = ""
    shared: bool = False
    """Takes events of the tenant's other owners too, those that were shared."""


class ArtifactRow(NamedTuple):
    """An artifact (A2A's, as JSON), or a chunk of one, added to a task."""

    run: int
    artifact_id: str
    append: bool
    data: bytes
    at: float
    last_chunk: bool = True
    step: int | None = None
    """Number of the step that gave it."""
    anew: bool = False
    """What this step has given of the artifact before counts no more: it has begun again."""
    task: str | None = None
    """Whose it is; None: the run's own task."""


class MessageRow(NamedTuple):
    """A message (A2A's, as JSON) in a task's history."""

    task: str | None
    """None: the run's own task."""
    data: bytes
    at: float
    id: str | None = None
    role: Literal["user", "agent"] = "agent"


@dataclass(slots=True)
class NewRun:
    """A run to create."""

    id: str
    workflow: str
    definition: str
    """Hash of the definition."""
    input: bytes
    created_at: float
    owner: str = "local"
    entry_point: str | None = None
    context_id: str | None = None
    parent: int | None = None
    """Key of the parent run."""
    parent_step: int | None = None
    """Number of the parent's workflow step."""
    idempotency_key: str | None = None
    fingerprint: str | None = None
    """Digest of workflow, entry point and input: the same key with another fingerprint is a conflict."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    door: str = "api"
    message: bytes | None = None
    """JSON of the message that started it."""
    retry_of: str | None = None
    """Id of the run that it retries."""
    pins: Mapping[str, str] = field(default_factory=dict[str, str])
    """Sub-workflow id → hash of its definition, fixed at the start."""
    state: State = "working"
    tenant: str = ""
    agent: str = ""
    """Name of the config that the workflow comes from."""
    retention: float | None = None
    """Seconds that it is kept after its end; None: as long as whoever purges says."""
    message_id: str | None = None


class RunPatch(NamedTuple):
    """Changed fields of a run. UNCHANGED (the default None of `state`) leaves the state alone."""

    at: float
    state: State | None = None
    reason: str | None = None
    error: bytes | None = None
    output: bytes | None = None
    """JSON of the output, where an `output:` template made it."""
    output_step: int | None = None
    """Number of the step whose result is the output."""
    message: str | None = None
    """Status message for people."""
    paused: bool | None = None
    """A change of it adds HELD to the run's timers, or takes it off."""
    ended_at: float | None = None
    now_text: str | None = None
    """One line on what the run does or why it failed, for lists."""
    last_response: int | None = None
    """Number of the last api_call step."""
    memo: bytes | None = None
    """JSON: the run's own decisions (hooks, cancel in progress). `b""` clears it."""
    tolerated: int | None = None
    context: bytes | None = None  # JSON: free context keys that replace the run's


class AnswerRow(NamedTuple):
    """The answer to an open wait."""

    task: str
    """Id of the wait's task."""
    run: int
    n: int
    step: str
    """Address of the step that waits."""
    answer: Mapping[str, Any]
    """`{"value": …}`, `{"decline": reason}` or `{"failure": message}`."""
    by: str
    door: str
    message_id: str | None
    at: float
    message: bytes | None = None
    """JSON of the message that brought it."""


def added(rows: Sequence[T], row: T) -> list[T]:
    """Return the rows of one kind with one more, for a change that may have had none of them."""
    if isinstance(rows, list):
        rows.append(row)
        return rows
    return [*rows, row]


@dataclass(slots=True)
class RunChange:
    """Everything that one transition changes in one run: it is committed in one transaction, or not at all.

    Most changes have steps and events only, and there are many: the other kinds of rows are added by `added`.
    """

    run: int
    root: int
    epoch: int
    """Fence: refused unless it is the root's current epoch."""
    create: NewRun | None = None
    delete: bool = False
    """The run goes with its descendants and all their rows; who gets their slots finds commands. No more is changed."""
    patch: RunPatch | None = None
    steps: list[StepRow] = field(default_factory=list)  # calling `list[StepRow]` takes three times as long
    events: list[EventRow] = field(default_factory=list)
    timers: Sequence[TimerRow] = ()
    drop_timers: Sequence[tuple[int, str]] = ()
    """(step number, kind)."""
    tasks: Sequence[TaskRow] = ()
    close_tasks: Sequence[tuple[str, State, str | None]] = ()
    """(task id, state, message) of open tasks to end. One that is ended already stays as it is."""
    shared: Sequence[SharedRow] = ()
    drop_shared: Sequence[str] = ()
    """Addresses of containers: what was written to shared keys inside them is forgotten, before `shared` is added."""
    subscriptions: Sequence[SubscriptionRow] = ()
    artifacts: Sequence[ArtifactRow] = ()
    messages: Sequence[MessageRow] = ()
    inbox_done: Sequence[int] = ()
    """Ids of inbox rows that this transition has dealt with."""
    free: Sequence[int] = ()
    """Steps whose slots and places in queues are given back. A run that ends gives all back."""
    slots: Sequence[SlotRow] = ()
    """Slots that are asked for, after `free`."""
    unclaimed: Sequence[StepRow] = ()
    """Rows of those of `slots` that are claimed, for when no slot is free: it replaces that of `steps`."""
    used: Used | None = None
    take: bool = False
    """Take the tree's lease, with this `epoch`; refused unless it is free. On the root's change, which is first."""
    answers: Sequence[AnswerRow] = ()
    """Answers that are carried out: unless all their waits are open, the tree's changes are refused. As for `take`."""
    release: bool = False
    """Give up the lease of the tree: it is parked or ended. Only on the root's change."""
    asleep: bool = False
    """With `release`: there is nothing to do until a command comes or a timer is due. Such a tree isn't claimable."""
    synced: bool = False
    """The commit has to survive a power cut, also where others needn't: it claims a step that runs at most once."""
    stamp: Stamp | None = None
    stays: bool = False
    """Both are told by the commit. `stays`: not released, as an event was there for a wait that the tree opens."""
    grants: Sequence[Grant] = ()
    """Told by the commit: slots that it gave to whoever was next, because of this change. Claimed steps aren't told."""
    queued: Sequence[StepRow] = ()
    """Told by the commit: rows of `unclaimed` that it has stored. Their steps wait for a slot."""
    late: Sequence[str] = ()
    """Told by the commit: tasks of `answers` that were open no more. Nothing of the tree is stored, nor is it lost."""
    deadlocked: Sequence[int] = ()
    """Told by the commit: steps of `slots` that would wait for one another for ever. They have no place in a queue."""


class RunRow(NamedTuple):
    """A run as it is stored: A2A task and sidecar in one view."""

    run: int
    id: str
    root: int
    root_id: str
    parent: int | None
    parent_id: str | None
    parent_step: int | None
    workflow: str
    definition: str
    entry_point: str | None
    input: bytes
    state: State
    reason: str | None
    error: bytes | None
    output: bytes | None
    output_step: int | None
    message: str | None
    start_message: bytes | None
    memo: bytes | None
    now_text: str | None
    owner: str
    context_id: str
    door: str
    labels: Mapping[str, str]
    pins: Mapping[str, str]
    idempotency_key: str | None
    fingerprint: str | None
    retry_of: str | None
    paused: bool
    last_response: int | None
    holder: str | None
    epoch: int
    seq: int
    """Number of its last event."""
    generation: int
    created_at: float
    updated_at: float
    ended_at: float | None
    context: bytes | None = None  # JSON: the free context keys
    tolerated: int = 0
    """How many failures were tolerated, in its child runs too."""
    tenant: str = ""
    agent: str = ""
    changed_at: float = 0.0
    """When its state last changed, or it began to wait for something else."""
    retention: float | None = None
    usage: bytes | None = None  # JSON: what it has used, and the runs below it


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs to list, newest first."""

    states: Collection[State] = ()
    workflow: str | None = None
    owner: str | None = None
    tenant: str = ""
    """Of the owner, where one is given."""
    agent: str | None = None
    parent: str | None = None
    """Id of a parent: lists its child runs. None: root runs only."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    since: float | None = None
    before: str | None = None
    """Id: only runs older than this one."""
    context_id: str | None = None
    limit: int = 50
