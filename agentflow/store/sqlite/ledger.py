"""What decides: transitions, and the definitions that they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from agentflow.store.acknowledgement import Fenced
from agentflow.store.common import frozen, report
from agentflow.store.contract import Definitions
from agentflow.store.rows import RunChange, RunRow
from agentflow.store.sqlite.batch import Batch
from agentflow.store.sqlite.database import Database
from agentflow.store.sqlite.rows import run_rows
from agentflow.store.sqlite.sql import do, one
from agentflow.store.sqlite.statements import IDEMPOTENT

LARGE = 128
"""Step rows of a commit that is large: writing them takes many times as long as a hop to a thread."""

Transitions: TypeAlias = tuple[Sequence[RunChange], Definitions]
"""Changes, and definitions by hash that they need."""


def _frozen(work: Transitions) -> Transitions:
    return frozen(work[0]), work[1]


class Ledger:
    """Commits."""

    _database: Database

    async def new_keys(self, count: int = 1) -> list[int]:
        """Return fresh integer keys for runs."""
        return await self._database.keys.take(count)

    async def commit(self, changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
        """Commit many transitions in one durable transaction; each of them wholly or not at all."""
        database = self._database
        if not database.begun:
            database.begin()
        rows, synced, told = 0, False, False
        for change in changes:  # one loop: this is done for every step
            rows += len(change.steps)
            synced = synced or change.synced
            told = told or change.create is not None or change.release or bool(change.tasks)  # it began, ended or waits
        committed, refused, last, count = await database.writer.transact(
            self._commit, (changes, definitions), _frozen, large=rows >= LARGE, synced=synced, told=told
        )
        if committed is not changes:  # they had to wait, and copies of them were committed
            report(changes, committed)
        if count:
            database.keys.add(last, count)
        return refused

    def _commit(self, work: Transitions) -> tuple[Sequence[RunChange], list[Fenced], int, int]:
        changes, definitions = work
        database = self._database
        batch = Batch(database.writer.db, database.holder, database.writer.cache)
        refused = batch.commit(changes)
        batch.flush()
        batch.forget()
        # Last: what the batch deletes may have been all that needed one of them.
        if definitions:
            for digest, body in definitions.items():
                self._define(digest, body)
        count, last = database.keys.wanted, 0
        if count:
            last = database.keys.reserve(count)
        return changes, refused, last, count

    def _define(self, digest: str, body: bytes) -> None:
        """Keep a definition, unless it is there: looking is cheap, handing over a large one isn't."""
        db, known = self._database.writer.db, self._database.writer.cache.definitions
        if digest not in known:
            if one(db, "SELECT 1 FROM definitions WHERE digest = ?", (digest,)) is None:
                do(db, "INSERT INTO definitions VALUES (?, ?)", (digest, body))
            known.add(digest)

    async def find_idempotent(self, tenant: str, owner: str, agent: str, workflow: str, key: str) -> RunRow | None:
        """Return the run that was started with this idempotency key."""
        with self._database.faults:
            found = run_rows(
                self._database.reader,
                f"WHERE h.key = ({IDEMPOTENT} ORDER BY h.agent DESC LIMIT 1)",
                (tenant, owner, agent, workflow, key),
            )
        return found[0] if found else None
