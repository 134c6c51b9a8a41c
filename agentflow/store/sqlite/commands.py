"""What other doors and processes leave for a holder."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from agentflow.data import encode
from agentflow.errors import Defect
from agentflow.store.common import OPEN, event_answer, judge_ended
from agentflow.store.contract import Agents, Answered, Holders
from agentflow.store.rows import AnswerRow, EventRow
from agentflow.store.sqlite.batch import Batch
from agentflow.store.sqlite.database import Database
from agentflow.store.sqlite.published import Source
from agentflow.store.sqlite.queries import answered_by, concerned
from agentflow.store.sqlite.rows import TASK, inbox_row, task_view
from agentflow.store.sqlite.sql import one, rows
from agentflow.store.views import Inbox

_ANSWERABLE = """
SELECT k.id, k.run, k.n, k.step, k.state, k.answer, k.message_id, t.holder, h.root
FROM tasks k JOIN heads h ON h.key = k.run JOIN heads t ON t.key = h.root WHERE k.ending = ?
"""


class Commands:
    """What other doors and processes leave for a holder."""

    _database: Database

    async def answer(
        self, task_id: str, answer: Mapping[str, Any], *, by: str, door: str, message_id: str | None, at: float,
        message: bytes | None = None,
    ) -> Answered:  # fmt: skip
        """Decide an open wait, by compare-and-set, and leave a command for the holder."""
        db = self._database.writer.db

        def work(batch: Batch) -> Answered:
            found = one(db, _ANSWERABLE, (task_id[::-1],))
            before = answered_by(db, found[8], message_id) if found else None
            if before is not None:  # the message is about that one for ever
                found = one(db, _ANSWERABLE, (before[::-1],))
            if found is None:
                return Answered("unknown", None)
            if found[4] not in OPEN:
                outcome = judge_ended(found[5], answer, found[6], message_id)
            else:
                outcome = "accepted"
                task, run, n, step = found[:4]
                batch.pass_answer(AnswerRow(task, run, n, step, answer, by, door, message_id, at, message))
                batch.flush()
            view = one(db, f"{TASK} WHERE k.ending = ?", (found[0][::-1],))
            return Answered(outcome, task_view(view) if view else None, found[7])

        return await self._database.write(work)

    async def request(self, run_id: str, kind: str, data: Any, events: Sequence[EventRow] = ()) -> str | None:
        """Leave a command for the holder of a run."""
        db = self._database.writer.db

        def work(batch: Batch) -> str | None:
            key = self._database.existing(run_id)
            head = batch.head(key)
            if head is None:
                raise Defect(f"Run {run_id} has no head.")
            batch.command(key, head, kind, -1, None, data)
            batch.append(key, head, events)
            found = one(db, "SELECT holder FROM heads WHERE key = ?", (head.root,))
            return found[0] if found else None

        return await self._database.write(work)

    async def note(self, run_id: str, events: Sequence[EventRow]) -> None:
        """Append events to a run's log."""

        def work(batch: Batch) -> None:
            key = self._database.existing(run_id)
            head = batch.head(key)
            if head is None:
                raise Defect(f"Run {run_id} has no head.")
            batch.append(key, head, events)

        await self._database.write(work)

    async def inbox(
        self, roots: Collection[int] | None = None, holders: Holders = None, agents: Agents = None
    ) -> list[tuple[int, Inbox]]:
        """Return (root, command) for waiting commands in order."""
        join, where, args = concerned("i", roots, holders, agents)
        with self._database.faults:
            found = rows(
                self._database.reader,
                f"SELECT i.root, i.id, i.run, i.kind, i.n, i.task, i.data FROM inbox i {join}"  # noqa: S608  constants
                f" WHERE true {where} ORDER BY i.id",
                args,
            )
        return [inbox_row(values) for values in found]

    async def publish(
        self, topic: str, data: Any, event_id: str | None, at: float, *, owner: str = "local", tenant: str = "",
        shared: bool = False,
    ) -> tuple[int, list[str]]:  # fmt: skip
        """Store an event and hand it to every matching open subscription of its owner."""
        raw, source = encode(data), Source(tenant, owner, shared)

        def work(batch: Batch) -> tuple[int, list[str]]:
            topics = batch.topics
            pos = topics.publish(source, topic, raw, event_id, at)
            if pos is None:
                return 0, []
            batch.note_published(pos)
            reached, holders = 0, dict[str, None]()
            for listener in topics.listeners(source, topic, data):
                task, run, n, step, _, root, holder = listener
                batch.pass_answer(event_answer(task, run, n, step, data, at))
                topics.take(root, pos, task)
                reached += 1
                if holder is not None:
                    holders[holder] = None
            topics.write()
            return reached, list(holders)

        return await self._database.write(work)
