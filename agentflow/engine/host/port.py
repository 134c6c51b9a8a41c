"""What attempts may ask of the runs that this host holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from agentflow.config import Limits
from agentflow.credentials import Book, Credentials, holder_of
from agentflow.engine.attempt.ports import Notable, over
from agentflow.engine.exchange import Attempt, Chunk
from agentflow.engine.host.cache import TreeCache
from agentflow.engine.host.mailbox import Mailbox
from agentflow.engine.host.withdrawing import Withdrawing
from agentflow.engine.plan.commands import Delivered, Note, Saved
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.engine.plan.view import NodeView
from agentflow.engine.volume import Volume
from agentflow.expressions import NULLED
from agentflow.principal import Principal
from agentflow.store.rows import TERMINAL

Publish = Callable[[str, Any, "str | None", str, str], Awaitable[int]]
"""Publishes what was admitted: topic, data, id, tenant, owner; returns how many waits it reached."""


class HostPort:
    """Implements `Port` over the trees in memory."""

    def __init__(
        self, cache: TreeCache, mailbox: Mailbox, limits: Limits, publish: Publish, withdrawing: Withdrawing, book: Book
    ) -> None:
        """Answer for the runs of a cache."""
        self._book = book
        self._cache = cache
        self._mailbox = mailbox
        self._limits = limits
        self._publish = publish
        self._withdrawing = withdrawing

    def _held(self, attempt: Attempt) -> tuple[RunState, Node]:
        run = self._cache.runs.get(attempt.run)
        node = run.live.get(attempt.n) if run is not None else None
        if run is None or node is None or node.phase != "run" or node.attempt != attempt.attempt:
            raise over(attempt)
        return run, node

    def input(self, attempt: Attempt) -> Any:
        """Return the run's input."""
        return self._held(attempt)[0].input

    def result(self, attempt: Attempt, step: str) -> Any:
        """Return the result of a step that is visible from here; null where it was skipped."""
        run, node = self._held(attempt)
        value = NodeView(run, node.scope).step(step)
        return None if value is NULLED else value

    def ended(self, attempt: Attempt) -> Sequence[str]:
        """Return the ids of the steps that are visible from here and have ended."""
        found: list[str] = []
        scope = self._held(attempt)[1].scope
        while scope is not None:
            found += [scope.program.steps[number].id for number, node in scope.nodes.items() if node.state in TERMINAL]
            scope = scope.owner.scope
        return found

    def volume(self, attempt: Attempt) -> Volume:
        """Return how much the steps of the run may tell."""
        run = self._cache.runs.get(attempt.run)
        if run is not None and run.volume is not None:
            return run.volume
        made = Volume(self._limits.log_size, self._limits.log_rate)
        if run is not None:
            run.volume = made
        return made

    def tell(self, attempt: Attempt, told: Notable) -> None:
        """Have what is told written with the next transition of the run's tree."""
        run = self._cache.runs.get(attempt.run)
        if run is not None:
            self._mailbox.put(
                run.tree.key, Note(run.key, attempt.address, told.take, (attempt.n, attempt.attempt, attempt.entry))
            )

    async def save(self, attempt: Attempt, state: Any) -> None:
        """Commit the state of the step."""
        run, node = self._held(attempt)
        if node.program.spec.withdraw is not None:
            await self._withdrawing.note(node, run.row.agent, state)
        if not await self._mailbox.apply(run.tree.key, Saved(run.key, node.n, attempt.attempt, state)):
            raise over(attempt)

    async def deliver(self, attempt: Attempt, chunk: Chunk) -> None:
        """Commit a chunk of an artifact."""
        run, node = self._held(attempt)
        if not await self._mailbox.apply(run.tree.key, Delivered(run.key, node.n, attempt.attempt, chunk)):
            raise over(attempt)

    async def credentials(
        self, attempt: Attempt, connection: str, scopes: Collection[str], refused: Credentials | None
    ) -> Credentials:
        """Return credentials of the run's owner, and nobody else's."""
        row = self._held(attempt)[0].row
        principal = Principal(row.owner, row.tenant)
        if refused is not None:
            found = await self._book.rejected(connection, principal, refused)
        else:
            found = await self._book.credentials(connection, principal, scopes=scopes)
        return found.held_by(holder_of(principal))

    async def publish(self, attempt: Attempt, topic: str, data: Any, event_id: str | None) -> int:
        """Publish an event as the run's owner."""
        row = self._held(attempt)[0].row
        return await self._publish(topic, data, event_id, row.tenant, row.owner)
