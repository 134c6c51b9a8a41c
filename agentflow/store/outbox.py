"""What is sent to receivers of a task's changes, and how far each has got: part of the contract, with its rows.

A change isn't copied: the log of a task has them all, numbered without gaps. A receiver is a place in that log.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple, Protocol

from agentflow.principal import LOCAL, Principal

PushState = Literal["active", "failed", "done"]
"""`active`: changes are sent; `failed`: the next one was given up, until somebody says so; `done`: the task is over."""


class Push(NamedTuple):
    """A receiver of a task's changes."""

    task_id: str
    id: str
    """Unique for the task and its owner."""
    tenant: str
    owner: str
    """Who has asked for it."""
    agent: str
    """Of whom the task's run is."""
    place: str
    """Where it goes, as far as everybody may know it."""
    sealed: str
    """Where it goes and how, sealed."""
    generation: int
    """Of the last change of the task that has arrived."""
    created_at: float
    due: float | None = None
    """When the next change is sent; None: when there is one."""
    state: PushState = "active"
    tries: int = 0
    """How often the next change was sent in vain."""
    error: str | None = None
    """Why that was."""
    key: int = 0
    run: int = 0


class PushQuery(NamedTuple):
    """Which receivers."""

    task_id: str | None = None
    id: str | None = None
    states: Collection[PushState] = ()
    """Empty: all."""
    principal: Principal = LOCAL
    """Whose."""
    after: int = 0
    """The key of the last one of the page before."""
    limit: int = 1000


class Receivers(Protocol):
    """What shows receivers of tasks' changes."""

    async def pushes(self, query: PushQuery) -> list[Push]:
        """Return receivers, oldest first."""
        ...


class Outbox(Receivers, Protocol):
    """Receivers of tasks' changes. Who sends to one has claimed it; what the dead have claimed is anybody's."""

    async def put(self, push: Push) -> Push | None:
        """Keep a receiver; None: there is no such task.

        One with the same id for the task and its owner is replaced: it keeps its generation, and is active again.
        """
        ...

    async def drop(self, keys: Collection[int]) -> None:
        """Forget receivers."""
        ...

    async def revive(self, query: PushQuery, at: float) -> list[Push]:
        """Let receivers that have failed be tried anew from a time on; returns them."""
        ...

    async def runs(self, agents: Collection[str]) -> dict[int, int]:
        """Return the keys of these agents' runs whose changes are sent to somebody, and to how many."""
        ...

    async def waiting(
        self, now: float, agents: Collection[str], dead: Collection[str], runs: Collection[int] | None, limit: int = 500
    ) -> list[Push]:
        """Return active receivers that nobody living sends to, and that have something to get now, earliest first.

        Args:
            now: the time.
            agents: of whose runs.
            dead: hosts whose claims count no more; this process's own ones don't count here either.
            runs: only of these; None: of all.
            limit: how many at most.
        """
        ...

    async def next_push(self, agents: Collection[str]) -> float | None:
        """Return when the earliest of the active receivers that nobody sends to is due again."""
        ...

    async def senders(self, agents: Collection[str]) -> set[str]:
        """Return the hosts that have claimed receivers."""
        ...

    async def claim(self, keys: Collection[int], dead: Collection[str]) -> list[Push]:
        """Take receivers to send to, in the name of `Store.holder`; returns those that were to be had."""
        ...

    async def settle(self, push: Push, *, release: bool) -> bool:
        """Keep how far a claimed receiver has got: its generation, state, tries, due time, error and sealed text.

        With `release` it is given back. An active one without a due time that has something to get by then is due at
        once.

        Returns:
            Whether it was still this process's to send to.
        """
        ...
