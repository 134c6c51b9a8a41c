"""What a store promises. Every backend passes `agentflow.testing.store_suite`. Its rows are in `rows`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from agentflow.principal import Principal
from agentflow.store.acknowledgement import Fenced
from agentflow.store.elsewhere import Elsewhere
from agentflow.store.liveness import Changes, Liveness
from agentflow.store.loaded import LoadedTree
from agentflow.store.outbox import Outbox, Receivers
from agentflow.store.rows import ArtifactRow, Event, EventRow, RunChange, RunQuery, RunRow, StepRow, TimerRow
from agentflow.store.slot_rows import SlotWait
from agentflow.store.usage_rows import UsageQuery, UsageSum, UsageView
from agentflow.store.views import Inbox, MessageView, PurgeQuery, TaskPage, TaskQuery, TaskView
from agentflow.vault import Vault

Definitions: TypeAlias = Mapping[str, bytes] | None
"""Definitions by hash, to be kept with a commit."""
Holders: TypeAlias = Collection[str | None] | None
"""Only trees that one of these hosts holds; None among them stands for those that nobody holds. None: all trees.

A host asks for its own trees, for those of nobody, and of the dead. What another one has to do that lives, or is only
stopped, costs it nothing: timers and trees are found by who holds them, however many others there are.
"""
Agents: TypeAlias = Collection[str] | None
"""Only trees of these agents, by the name that their runs have. None: of all agents. They are found like a holder's."""


class Answered(NamedTuple):
    """What became of an answer."""

    outcome: Literal["accepted", "same", "conflict", "closed", "unknown"]
    """`same`: given before; `conflict`: another one was; `closed`: the wait ended without an answer."""
    task: TaskView | None
    holder: str | None = None
    """Who holds the tree, to be woken."""


class TaskStore(Protocol):
    """Tasks as doors see them."""

    async def get_task(self, task_id: str) -> TaskView | None:
        """Return a wait's task, or that of an agent's turn, by its whole id."""
        ...

    async def answered(self, root: int, message_id: str) -> TaskView | None:
        """Return the wait of a tree that a message has answered; uses an index by the ids of messages."""
        ...

    async def list_tasks(
        self,
        *,
        run_id: str | None = None,
        tree: bool = False,
        open_only: bool = True,
        principal: Principal | None = None,
        before: str | None = None,
        limit: int = 1000,
    ) -> list[TaskView]:
        """Return waits' tasks, oldest first; with `tree` also those of the run's descendants.

        Of a principal's: those of its runs, and open ones that are assigned to it.
        """
        ...

    async def task_page(self, query: TaskQuery) -> TaskPage:
        """Return a page of tasks, those whose state changed last first, and how many there are on all pages.

        Uses indexes by owner, context and state: a page costs what is on it, wherever it is in the list.
        """
        ...

    async def artifacts(self, task_id: str) -> list[Any]:
        """Return the artifacts of a task, a run's own or another, chunks joined, in order of first appearance."""
        ...

    async def history(self, task_id: str, limit: int | None = None, *, tree: bool = False) -> list[MessageView]:
        """Return the messages of a task, the newest `limit` of them, oldest first.

        With `tree` of a run also those of its waits and of the runs below it.
        """
        ...

    async def chunks(self, task_id: str, after: int = 0, limit: int = 1000) -> list[tuple[int, ArtifactRow]]:
        """Return (generation, chunk) of the artifacts of a task after a generation, as they came."""
        ...

    async def task_log(self, task_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return the changes of a task, a run's own or another, after a generation; uses an index.

        These are the events with a generation: changes of its state and of its artifacts, and messages.
        """
        ...

    async def find(
        self, ending: str, kind: Literal["run", "wait"], limit: int = 5, principal: Principal | None = None
    ) -> list[str]:
        """Return ids that end with this text, newest first; uses an index.

        Of a principal's: runs that it owns; waits of those, and waits that are, or were, assigned to it. Others don't
        count towards the limit.
        """
        ...

    async def shortest(self, ids: Sequence[str], kind: Literal["run", "wait"]) -> list[str]:
        """Return the shortest unique ending (at least 6 characters) of each id."""
        ...


class Ledger(Protocol):
    """What executing runs needs: commits, leases, timers, commands."""

    async def new_keys(self, count: int = 1) -> list[int]:
        """Return fresh integer keys for runs, in ascending order; unique in the store, over processes and restarts.

        It is asked for each run that begins: a store for which that would be a transaction, or a round trip, reserves
        keys in blocks. What is reserved and not used is lost. A key fits into 31 bits.
        """
        ...

    async def commit(self, changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
        """Commit many transitions in one durable transaction; each of them wholly or not at all.

        Definitions are kept in the same transaction; known ones are left alone. A change that creates a root run also
        takes its lease for `holder` (see `Store.holder`) at epoch 1. A change that is `synced` is on the disk when this
        returns, however safe other commits are. Row values are read before the first suspension:
        callers may go on changing their objects afterwards.

        Returns:
            The changes that were refused because their epoch isn't current.

        Raises:
            StoreError: nothing was committed.
        """
        ...

    async def find_idempotent(self, tenant: str, owner: str, agent: str, workflow: str, key: str) -> RunRow | None:
        """Return the run that was started with this idempotency key, by this agent or before agents were kept."""
        ...

    async def acquire(self, root: int, dead: Collection[str] = ()) -> LoadedTree | None:
        """Take the lease of a tree that has no holder, or one of `dead`, and load it.

        Returns:
            The tree at its new epoch; None when a live holder has it, or it doesn't exist.
        """
        ...

    async def load(self, root: int) -> LoadedTree | None:
        """Load a tree without taking it."""
        ...

    async def claimable(
        self,
        holders: Collection[str | None] = (None,),
        roots: Collection[int] | None = None,
        limit: int = 1000,
        agents: Agents = None,
    ) -> list[int]:
        """Return roots, of these or of all, with something to do now: awake, or with commands."""
        ...

    async def left_to_others(self, holders: Collection[str | None], agents: Collection[str]) -> dict[str, int]:
        """Return how many trees of other agents than these have something to do now, by agent."""
        ...

    async def next_due(
        self, roots: Collection[int] | None = None, holders: Holders = None, agents: Agents = None
    ) -> float | None:
        """Return the earliest due time of a timer, of these roots or of all."""
        ...

    async def answer(
        self, task_id: str, answer: Mapping[str, Any], *, by: str, door: str, message_id: str | None, at: float,
        message: bytes | None = None,
    ) -> Answered:  # fmt: skip
        """Decide an open wait, by compare-and-set, and leave a command for the holder: one durable transaction.

        Args:
            task_id: whole id of the wait's task.
            answer: `{"value": …}`, `{"decline": reason}` or `{"failure": message}`, checked by the caller.
            by: who answers.
            door: `cli`, `api`, `a2a`, `mcp`, `web`.
            message_id: the same message again is the same answer.
            at: time of the answer.
            message: JSON of the message that brought it, for the task's history.
        """
        ...

    async def request(self, run_id: str, kind: str, data: Any, events: Sequence[EventRow] = ()) -> str | None:
        """Leave a command (`cancel`, `pause`, `unpause`) for the holder of a run; returns the holder, if any.

        Raises:
            NotFoundError: there is no such run.
        """
        ...

    async def note(self, run_id: str, events: Sequence[EventRow]) -> None:
        """Append events to a run's log that change nothing in it, and need nobody who goes on with it.

        Raises:
            NotFoundError: there is no such run.
        """
        ...

    async def inbox(
        self, roots: Collection[int] | None = None, holders: Holders = None, agents: Agents = None
    ) -> list[tuple[int, Inbox]]:
        """Return (root, command) for waiting commands, of these roots or of all: those of a tree in order.

        A command is there until a commit names it in `inbox_done`; there is no cursor that would tell what is new.
        """
        ...

    async def publish(
        self, topic: str, data: Any, event_id: str | None, at: float, *, owner: str = "local", tenant: str = "",
        shared: bool = False,
    ) -> tuple[int, list[str]]:  # fmt: skip
        """Store an event and hand it to every open subscription of its owner that wants it: one durable transaction.

        With `shared` also to those of the tenant's other owners that take such events. It never leaves the tenant.

        Which events a subscription wants its filter says, as data: `agentflow.expressions.filter_matches` tells what it
        means. A wait that opens gets the earliest event published before that it wants and no wait of its tree has
        taken; those that open in one commit take none from each other. What a wait gets, here or when it opens, its
        tree has taken: no wait of the tree that opens later gets it. A wait that ends before its step has heard of the
        event hasn't taken it.

        Returns:
            How many waits it reached, and the holders to wake. An `event_id` that the owner repeats reaches none.
        """
        ...

    async def slot_holders(self, keys: Collection[str], dead: Collection[str]) -> list[tuple[int, str]]:
        """Return (root, agent) of trees of dead hosts in which a step has a slot of one of these keys."""
        ...

    async def hosts(self) -> list[str]:
        """Return ids of all holders named in leases."""
        ...

    async def purge(self, query: PurgeQuery, limit: int = 500) -> int:
        """Delete one batch of ended root runs (with their trees) that needn't be kept; returns how many root runs.

        Definitions that no run is left of, and that none pins, go with them.
        """
        ...


class Reads(Protocol):
    """What doors ask.

    The `pos` of an event is its place in the store: never used twice, not without gaps. In a tree it grows from commit
    to commit, and in a commit from event to event: commits to one tree take turns. Over several trees it is no order of
    time, but a cursor that misses nothing: see `all_events`.
    """

    async def get_run(self, run_id: str) -> RunRow | None:
        """Return a run, or None."""
        ...

    async def get_step(self, run_id: str, address: str) -> StepRow | None:
        """Return one step by its address, or None."""
        ...

    async def list_steps(self, run_id: str) -> list[StepRow]:
        """Return all steps that have rows, in order of their first insertion; [] for an unknown run."""
        ...

    async def list_runs(self, query: RunQuery) -> list[RunRow]:
        """Return runs, newest first."""
        ...

    async def count_runs(self, query: RunQuery) -> int:
        """Count them."""
        ...

    async def events(self, run_id: str, after: int = 0, limit: int = 1000, tree: bool = False) -> list[Event]:
        """Return events of a run after a `seq`, by `seq`: without gaps, from 1 on.

        With `tree` of its descendants too, then after a `pos` and by `pos`.
        """
        ...

    async def all_events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return events of all runs after a `pos`, by `pos`.

        Who goes on from the last `pos` that was given misses nothing: no event is given as long as one before it may
        still come. Where transactions run side by side, and get their numbers before they are done, those behind the
        oldest one under way are held back.
        """
        ...

    async def slot_waits(self, root: int) -> list[SlotWait]:
        """Return which steps of a tree wait for a slot of a key, and who holds those."""
        ...

    async def usage(self, root: int) -> list[UsageView]:
        """Return what the attempts of a tree have used, by run, step, attempt, entry and model."""
        ...

    async def usage_sums(self, query: UsageQuery) -> list[UsageSum]:
        """Return sums of what was used, the largest cost first."""
        ...

    async def result(self, run: int, n: int) -> bytes | None:
        """Return one step's result."""
        ...

    async def salvage_steps(self, run_id: str) -> tuple[list[StepRow], frozenset[int]]:
        """Return the steps of a run where `list_steps` refuses to, and the numbers of those with a damaged result.

        A damaged result isn't given: the row has none.
        """
        ...

    async def salvage_tree(self, root: int) -> LoadedTree | None:
        """Load a tree where `load` refuses to, without its damaged results: to end it or to retry it, not to go on."""
        ...

    async def get_definition(self, digest: str) -> bytes | None:
        """Return a definition, or None."""
        ...

    async def due(
        self,
        now: float,
        roots: Collection[int] | None = None,
        holders: Holders = None,
        limit: int = 500,
        agents: Agents = None,
    ) -> list[tuple[int, TimerRow]]:
        """Return (root, timer) for timers that are due, earliest first."""
        ...


class Readable(TaskStore, Reads, Protocol):
    """What is needed to look at what a store holds: it changes nothing."""

    @property
    def liveness(self) -> Liveness:
        """Which hosts live."""
        ...

    @property
    def receivers(self) -> Receivers:
        """What gets changes of tasks."""
        ...


class Store(Readable, Ledger, Protocol):
    """All of it, over one database."""

    @property
    def holder(self) -> str:
        """Name under which this process takes leases; empty until it becomes a host."""
        ...

    @holder.setter
    def holder(self, name: str) -> None: ...

    @property
    def shared(self) -> bool:
        """Whether other processes can use this store too: somebody has to look for what they do."""
        ...

    @property
    def elsewhere(self) -> Elsewhere:
        """What turns of agents have begun elsewhere."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Where changes of tasks are sent to."""
        ...

    @property
    def vault(self) -> Vault:
        """Where tokens of connections are kept."""
        ...

    @property
    def key_file(self) -> Path | None:
        """Where the key lies that seals secrets in this store; None: there is no place beside it."""
        ...

    def changes(self) -> Changes:
        """Return what tells of commits of other processes from now on; each who asks has one of its own."""
        ...

    async def close(self) -> None:
        """Finish what is under way and close the database."""
        ...
