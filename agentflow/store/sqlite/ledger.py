"""What decides: transitions, answers, commands, events, definitions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from agentflow.data import encode
from agentflow.errors import Defect
from agentflow.store.common import OPEN, event_answer, frozen, judge_ended
from agentflow.store.contract import Answered, Dead, Definitions, Matches
from agentflow.store.rows import AnswerRow, EventRow, Inbox, RunChange, RunRow
from agentflow.store.sqlite.base import Base
from agentflow.store.sqlite.batch import Batch
from agentflow.store.sqlite.place import reserve
from agentflow.store.sqlite.queries import concerned
from agentflow.store.sqlite.rows import TASK, inbox_row, run_rows, task_view
from agentflow.store.sqlite.sql import do, one, rows
from agentflow.store.told import Fenced

LARGE = 128
"""Step rows of a commit that is large: writing them takes many times as long as a hop to a thread."""

Transitions: TypeAlias = tuple[Sequence[RunChange], Definitions]
"""Changes, and definitions by hash that they need."""


def _frozen(work: Transitions) -> Transitions:
    return frozen(work[0]), work[1]


class Ledger(Base):
    """Commits."""

    async def commit(self, changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
        """Commit many transitions in one durable transaction; each of them wholly or not at all."""
        if not self._sized and self.holder and self._writer.idle:
            self._sized = True
            with self._faults:
                self._place.begin_commits(self._writer.db)
        large = sum([len(change.steps) for change in changes]) >= LARGE
        synced = True in [change.synced for change in changes]
        told = any(change.create or change.release or change.tasks for change in changes)  # it began, ended or waits
        landed, refused, last, count = await self._writer.transact(
            self._land, (changes, definitions), _frozen, large=large, synced=synced, told=told
        )
        if landed is not changes:  # they had to wait, and copies of them landed
            for change, copy in zip(changes, landed, strict=True):
                change.stamp, change.stays = copy.stamp, copy.stays
                change.grants, change.deadlocked, change.queued = copy.grants, copy.deadlocked, copy.queued
        if count:
            self._keys.add(last, count)
        return refused

    def _land(self, work: Transitions) -> tuple[Sequence[RunChange], list[Fenced], int, int]:
        changes, definitions = work
        db = self._writer.db
        batch = Batch(db, self.holder, self.matches, self._writer.known)
        refused = batch.commit(changes)
        batch.flush()
        batch.forget()
        for digest, body in (
            definitions or {}
        ).items():  # last: what the batch deletes may have been all that needed it
            self._define(digest, body)
        count, last = self._keys.wanted, 0
        if count:
            last = reserve(db, count)
        return changes, refused, last, count

    def _define(self, digest: str, body: bytes) -> None:
        """Keep a definition, unless it is there: looking is cheap, handing over a large one isn't."""
        db, known = self._writer.db, self._writer.known.definitions
        if digest not in known:
            if one(db, "SELECT 1 FROM definitions WHERE digest = ?", (digest,)) is None:
                do(db, "INSERT INTO definitions VALUES (?, ?)", (digest, body))
            known.add(digest)

    async def get_definition(self, digest: str) -> bytes | None:
        """Return a definition, or None."""
        with self._faults:
            found = one(self._reader, "SELECT body FROM definitions WHERE digest = ?", (digest,))
        return found[0] if found else None

    async def find_idempotent(self, owner: str, workflow: str, key: str) -> RunRow | None:
        """Return the run that was started with this idempotency key."""
        with self._faults:
            found = run_rows(
                self._reader,
                "WHERE h.owner = ? AND h.workflow = ? AND h.idempotency_key = ?",
                (owner, workflow, key),
            )
        return found[0] if found else None


class Commands(Base):
    """What other doors and processes leave for a holder."""

    async def answer(
        self, task_id: str, answer: Mapping[str, Any], *, by: str, door: str, message_id: str | None, at: float
    ) -> Answered:
        """Decide an open wait, by compare-and-set, and leave a command for the holder."""
        db = self._writer.db

        def work(batch: Batch) -> Answered:
            found = one(
                db,
                "SELECT k.id, k.run, k.n, k.step, k.state, k.answer, k.message_id, t.holder FROM tasks k"
                " JOIN heads h ON h.key = k.run JOIN heads t ON t.key = h.root WHERE k.ending = ?",
                (task_id[::-1],),
            )
            if found is None:
                return Answered("unknown", None)
            if found[4] not in OPEN:
                outcome = judge_ended(found[5], answer, found[6], message_id)
            else:
                outcome = "accepted"
                task, run, n, step = found[:4]
                batch.pass_answer(AnswerRow(task, run, n, step, answer, by, door, message_id, at))
                batch.flush()
            view = one(db, f"{TASK} WHERE k.ending = ?", (task_id[::-1],))
            return Answered(outcome, task_view(view) if view else None, found[7])

        return await self._write(work)

    async def request(self, run_id: str, kind: str, data: Any, events: Sequence[EventRow] = ()) -> str | None:
        """Leave a command for the holder of a run."""
        db = self._writer.db

        def work(batch: Batch) -> str | None:
            key = self._known(db, run_id)
            head = batch.head(key)
            if head is None:
                raise Defect(f"Run {run_id} has no head.")
            batch.command(key, head, kind, -1, None, data)
            batch.append(key, head, events)
            found = one(db, "SELECT holder FROM heads WHERE key = ?", (head.root,))
            return found[0] if found else None

        return await self._write(work)

    async def inbox(
        self, roots: Collection[int] | None = None, after: int = 0, dead: Dead = None
    ) -> list[tuple[int, Inbox]]:
        """Return (root, command) for waiting commands in order."""
        join, where, args = concerned("i", roots, dead, self.holder)
        with self._faults:
            found = rows(
                self._reader,
                f"SELECT i.root, i.id, i.run, i.kind, i.n, i.task, i.data FROM inbox i {join}"  # noqa: S608  constants
                f" WHERE i.id > ? {where} ORDER BY i.id",
                (after, *args),
            )
        return [inbox_row(values) for values in found]

    async def publish(
        self, topic: str, data: Any, event_id: str | None, at: float, matches: Matches, *, owner: str = "local"
    ) -> tuple[int, list[str]]:
        """Store an event and hand it to every matching open subscription of its owner."""
        raw = encode(data)

        def work(batch: Batch) -> tuple[int, list[str]]:
            topics = batch.topics
            pos = topics.publish(owner, topic, raw, event_id, at)
            if pos is None:
                return 0, []
            reached, holders = 0, dict[str, None]()
            for listener in topics.listeners(owner, topic, data, matches):
                task, run, n, step, _, root, holder = listener
                batch.pass_answer(event_answer(task, run, n, step, data, at))
                topics.take(root, pos, task)
                reached += 1
                if holder is not None:
                    holders[holder] = None
            topics.write()
            return reached, list(holders)

        return await self._write(work)
