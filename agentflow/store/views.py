"""What a store gives beside its rows: commands, tasks and messages as doors and holders see them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from agentflow.principal import LOCAL, Principal
from agentflow.store.rows import State, TaskRow


class Inbox(NamedTuple):
    """A command that another door or process committed for the holder of a tree."""

    id: int
    run: int
    kind: str
    """`answer`, `cancel`, `pause`, `unpause`, `child`, `slot` (the step has got its slot)."""
    n: int
    """Step it is for; -1: the run itself."""
    task: str | None
    data: Any
    """Payload: for an answer `{"answer": {"value"|"decline"|"failure": …}, "by": …, "door": …}`."""


class TaskView(NamedTuple):
    """A wait or agent task with what doors need to know of its run."""

    task: TaskRow
    run_id: str
    root_id: str
    workflow: str
    owner: str
    answer: Any
    """What was answered: `{"value"|"decline"|"failure": …}`, or None."""
    by: str | None
    door: str | None
    message_id: str | None
    answered_at: float | None
    generation: int
    root: int
    """Key of the root run."""
    tenant: str = ""
    context_id: str = ""
    agent: str = ""


class MessageView(NamedTuple):
    """A message of a task's history."""

    id: str | None
    role: str
    """`user` or `agent`."""
    generation: int
    """Of the task: the change that the message came with."""
    at: float
    data: Any
    """The message (A2A's). Of an answer that came without one: its value as a data part."""


class PurgeQuery(NamedTuple):
    """Which ended runs needn't be kept."""

    now: float
    age: float | None
    """Seconds since their end from which on runs go that don't say themselves how long they are kept; None: never."""
    states: Collection[State]
    principal: Principal = LOCAL
    """Whose."""
    agents: Collection[str] | None = None
    """Names of the configs that they come from; None: of all."""
    events: bool = True
    """Whether published events of that age are forgotten, too, where it is asked by somebody who sees all."""


class TaskQuery(NamedTuple):
    """Which tasks to list: root runs, waits, agents' turns. Those whose state changed last come first."""

    context_id: str | None = None
    states: Collection[State] = ()
    """Empty: all."""
    kinds: Collection[str] = ("run", "input", "event", "tool", "auth", "operator", "agent")
    """`run`, and kinds of other tasks."""
    agents: Collection[str] | None = None
    """Names of the configs that they come from; None: of all."""
    changed_since: float | None = None
    after: tuple[float, str] | None = None
    """Time of the last change and id of the last task of the page before."""
    limit: int = 50
    principal: Principal = LOCAL
    """To whom they are to be shown."""


class ListedTask(NamedTuple):
    """One task of a list."""

    id: str
    kind: str
    state: State
    message: str | None
    changed_at: float
    """When its state last changed."""
    created_at: float
    generation: int
    context_id: str
    tenant: str
    owner: str
    run_id: str
    """Of a run its own id."""
    step: str | None
    """Address of the step that it is of."""
    workflow: str
    agent: str

    @property
    def place(self) -> tuple[float, str]:
        """What the page after this task is asked by."""
        return self.changed_at, self.id


class TaskPage(NamedTuple):
    """A page of a list of tasks."""

    tasks: list[ListedTask]
    total: int
    """How many there are on all pages."""
