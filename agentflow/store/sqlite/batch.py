"""How transitions are written to tables: many changes become few statements, inside one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from zlib import crc32

import apsw

from agentflow.data import encode
from agentflow.store.acknowledgement import Fenced, Stamp
from agentflow.store.common import EVENT_DOOR, closing_state, ended, event_answer, kept, passed
from agentflow.store.rows import (
    HELD,
    AnswerRow,
    EventRow,
    NewRun,
    RunChange,
    RunPatch,
    State,
    StepRow,
    SubscriptionRow,
)
from agentflow.store.sqlite import creating, left, used
from agentflow.store.sqlite import statements as sql
from agentflow.store.sqlite.heads import Heads, moment
from agentflow.store.sqlite.published import Topics
from agentflow.store.sqlite.queries import answered_by
from agentflow.store.sqlite.queueing import Queues
from agentflow.store.sqlite.row_cache import Head, RowCache
from agentflow.store.sqlite.rows import tree_keys
from agentflow.store.sqlite.sql import do, do_each, do_many, number, one
from agentflow.store.sqlite.timers import Timers


class Batch:
    """Collects the rows of one transaction; `flush` writes them, one statement a table."""

    def __init__(self, db: apsw.Connection, holder: str, cache: RowCache) -> None:
        """Begin with nothing but what is known to be true still. The transaction is open already."""
        self._db = db
        self._holder = holder
        self._cache = cache
        self._heads = cache.heads
        if cache.pos < 0:
            cache.pos = number(db, sql.LAST_POS)
        self._changed = Heads(cache.heads)
        self._generations: dict[str, int] = {}
        self._steps: list[tuple[Any, ...]] = []
        self._events: list[tuple[Any, ...]] = []
        self._rare: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self._kept: set[int] = set()
        """Roots of trees whose changes are refused, as somebody else was quicker to take them or to answer."""
        self._leases: list[RunChange] = []
        """Changes that take or release a tree."""
        self._gone: list[int] = []
        self._new_ids: set[str] = set()
        self._places: dict[int, sql.Place] = {}
        self._timers: Timers | None = None
        self._queues: Queues | None = None
        self._topics: Topics | None = None

    @property
    def queues(self) -> Queues:
        """What it does to queues for slots: most commits do nothing."""
        if self._queues is None:
            self._queues = Queues(self._db, self._holder)
        return self._queues

    @property
    def topics(self) -> Topics:
        """What it does with published events: nor with these."""
        if self._topics is None:
            self._topics = Topics(self._db)
        return self._topics

    def commit(self, changes: Sequence[RunChange]) -> list[Fenced]:
        """Take in changes; returns those that are refused."""
        refused: list[Fenced] = []
        for change in changes:
            head = self._admit(change)
            if head is None:
                refused.append(Fenced(change.run))
            elif change.delete:
                self._delete(change.run)
            else:
                self._apply(change, head)
        if self._leases:
            self._settle_leases()
        if self._topics is not None:
            self._topics.write()
        return refused

    def _settle_leases(self) -> None:
        """Take and release trees. One of whose waits was answered at once goes on where it is."""
        answered = self._topics.answered if self._topics is not None else ()
        for change in self._leases:
            change.stays = change.release and change.run in answered
            release = change.release and not change.stays
            holder, head = None if release else self._holder, self.head(change.root)
            if change.take:
                self._rare[sql.TAKE].append((holder, change.epoch, change.root))
            if (change.take or release) and head and head.timed and not ended(head.state):
                self._rare[sql.HAND_TIMERS].append((holder, change.root))
            if release:
                if not self._changed.release(change.run):
                    self._rare[sql.RELEASE].append((change.asleep, change.run))
                self._gone.append(change.run)

    def head(self, run: int) -> Head | None:
        """Return the head of a run as it is in this transaction."""
        head = self._heads.get(run)
        if head is None:
            found = one(self._db, sql.HEAD, (run,))
            if found is not None:
                head = self._heads[run] = Head(found)
        return head

    def create(self, key: int, new: NewRun, root: int, context_id: str, holder: str) -> Head:
        """Add a run; the caller has checked that it may be there."""
        epoch = 1 if holder and new.parent is None else 0
        head = Head((root, 0, 0, 0, new.created_at, epoch, new.state))
        heard = self._cache.heard if new.parent is None else 0
        if heard < 0:
            heard = self._cache.heard = number(self._db, sql.LAST_PUBLISHED)
        values = creating.head_row(key, root, new, context_id, holder if epoch else None, heard)
        self._changed.begin(key, head, values)
        self._rare[sql.NEW_RUN].append(creating.run_row(key, new))
        if new.labels:
            self._rare[sql.NEW_LABEL].extend((name, value, key) for name, value in new.labels.items())
        if new.parent is None and new.pins:
            self._rare[sql.NEW_PIN].extend((key, digest) for digest in new.pins.values())
        self._new_ids.add(new.id)
        self._places[key] = sql.Place(new.tenant, new.owner, context_id)
        if new.idempotency_key is not None:  # the next one with the same key has to find it
            self.flush()
        return head

    def note_published(self, pos: int) -> None:
        """Take note of the last published event: runs that begin from now on don't hear of it."""
        self._cache.heard = pos

    def _admit(self, change: RunChange) -> Head | None:
        create = change.create
        if create is None or create.parent is not None:
            top = self.head(change.root)
            if top is None or not self._fits(change, top):
                return None
        head = self.head(change.run)
        if create is None:
            return head if head and head.root == change.root else None
        parent = None if create.parent is None else self.head(create.parent)
        if head or (create.parent is not None and parent is None):
            return None
        root = parent.root if parent else change.run
        if root != change.root or create.id in self._new_ids or creating.exists(self._db, create):
            return None
        context_id = create.context_id
        if context_id is None and create.parent is not None:
            context_id = self._place(create.parent).context_id
        return self.create(change.run, create, change.root, context_id or create.id, self._holder)

    def _fits(self, change: RunChange, root: Head) -> bool:
        """Tell whether a change comes from the holder of its tree, or from one who takes it now, and is in time."""
        if not change.take and not change.answers:
            return root.epoch == change.epoch and change.root not in self._kept
        free = not change.take or one(self._db, sql.HOLDER, (change.root,)) == (None,)
        if free and root.epoch == change.epoch - change.take and self._in_time(change):
            root.epoch = change.epoch
            return True
        self._kept.add(change.root)  # whoever was quicker may have the same epoch
        return False

    def _in_time(self, change: RunChange) -> bool:
        """Tell whether all waits are open that a change answers, and none of the messages has answered before."""
        late, taken = list[str](), set[str | None]()
        for row in change.answers:
            task, message = one(self._db, sql.OPEN_TASK, (row.task[::-1],)), row.message_id
            if task is None or (message and message in taken) or answered_by(self._db, change.root, message):
                late.append(row.task)
            else:
                taken.add(message)
                self._generations.setdefault(row.task, task[2])
        change.late = late
        return not late

    def _place(self, run: int) -> sql.Place:
        """Return whose a run is, and of which context."""
        place = self._places.get(run)
        if place is None:
            place = self._places[run] = sql.Place._make(one(self._db, sql.PLACE, (run,)) or ("", "", ""))
        return place

    def _apply(self, change: RunChange, head: Head) -> None:
        run, patch = change.run, change.patch
        for answer in change.answers:
            self.answer(answer)
        if change.free or change.slots:
            self.queues.take_in(run, change)
            head.extras = 1
            self._changed.touch(run, head)
        steps, events, tasks = kept(change) if change.queued else (change.steps, change.events, change.tasks)
        if steps:
            self._keep(steps)
        if change.timers or change.drop_timers:
            self._timers = self._timers or Timers()
            self._timers.take_in(change, head.root)
            self._heads[head.root].timed = True
            head.extras = 1
            self._changed.touch(run, head)
        if tasks:
            head.extras = 1
            self._changed.touch(run, head)
            for task in tasks:
                do(self._db, sql.UPSERT_TASK, creating.task_row(run, task, self._place(run)))
        for task_id, state, message in change.close_tasks:
            self._close_task(head, task_id, state, message, moment(change, head))
        if change.drop_shared:
            self._rare[sql.DROP_SHARED].extend(left.dropped(run, change.drop_shared))
        if change.shared:
            self._rare[sql.NEW_SHARED].extend((run, row.key, row.address, row.value) for row in change.shared)
        if patch:
            self._patch(run, head, patch)
        if change.used is not None:
            used.keep(change, head.root, self._rare)
        self.append(run, head, events)
        if change.artifacts or change.messages or (change.create is not None and change.create.message is not None):
            logged = self._events[len(self._events) - len(events) :]
            for statement, row in left.rows_of(change, logged, head.generation, self._generation):
                self._rare[statement].append(row)
        if change.inbox_done:
            self._rare[sql.DROP_COMMAND].extend([(number_,) for number_ in change.inbox_done])
        if head.extras and ended(head.state):
            self._close(run, head, moment(change, head))
            self.queues.free_runs([run], change)
        for subscription in change.subscriptions:
            self._subscribe(run, head, subscription, moment(change, head))
        if change.take or change.release:
            self._leases.append(change)
        change.stamp = Stamp(head.seq, head.generation, head.updated_at)

    def _delete(self, run: int) -> None:
        """Delete a run with its descendants, and all that is known of them."""
        self.flush()
        keys = tree_keys(self._db, run)
        self.queues.delete(keys)
        for key in keys:
            self._heads.pop(key, None)
        self._cache.definitions.clear()

    def _keep(self, rows: Collection[StepRow]) -> None:
        """Insert or update steps."""
        pos, found = self._cache.pos, self._steps
        for row in rows:
            pos += 1  # tells which step was inserted first
            result = row.result
            found.append(row + (pos, None if result is None else crc32(result, row.n)))  # noqa: RUF005  half the time
        self._cache.pos = pos

    def append(self, run: int, head: Head, events: Collection[EventRow]) -> None:
        """Append events to a run's log."""
        if not events:
            return
        cache = self._cache
        for row in events:
            at, bumps = row.at, row.bumps
            generation = None
            if bumps:
                generation = self._bump(head, row.task)
                self._changed.touch(run, head)
            head.seq += 1
            if at > head.updated_at:
                head.updated_at = at
            cache.pos += 1
            self._events.append(row + (cache.pos, run, head.seq, generation))  # noqa: RUF005  half the time

    def command(self, run: int, head: Head, kind: str, n: int, task: str | None, data: Any) -> None:
        """Leave a command for the holder of a run."""
        do(self._db, sql.NEW_COMMAND, (head.root, run, kind, n, task, encode(data)))

    def answer(self, row: AnswerRow) -> Head | None:
        """Answer an open wait."""
        task, at = row.task, row.at
        head = self.head(row.run)
        if head is None:
            return None
        data = encode({"by": row.by, "door": row.door})
        self.append(row.run, head, [EventRow("step_resumed", row.step, data, at, task, bumps=True)])
        state, generation = closing_state(row.answer), self._generations.pop(task, None)
        do(
            self._db,
            sql.ANSWER_TASK,
            (state, encode(row.answer), row.by, row.door, row.message_id, at, at, generation, task[::-1]),
        )
        if row.door != EVENT_DOOR:
            message = (row.run, task, row.message_id, "user", generation or 0, at, row.message)
            do(self._db, sql.NEW_MESSAGE, message)  # now: it answers nothing else of this transaction
        do(self._db, "DELETE FROM subscriptions WHERE task = ?", (task,))
        return head

    def pass_answer(self, row: AnswerRow) -> None:
        """Answer an open wait, and leave it to the holder to carry that out."""
        head = self.answer(row)
        if head is not None:
            self.command(row.run, head, "answer", row.n, row.task, passed(row))

    def _bump(self, head: Head, task: str | None) -> int | None:
        if task is None:
            head.generation += 1
            return head.generation
        known = self._generation(task)
        if known is None:
            return None
        self._generations[task] = known + 1
        return known + 1

    def _generation(self, task: str) -> int | None:
        """Return the generation of a task that isn't a run; None where there is none."""
        known = self._generations.get(task)
        if known is None:
            found = one(self._db, "SELECT generation FROM tasks WHERE ending = ?", (task[::-1],))
            known = None if found is None else int(found[0])
        return known

    def _close_task(self, head: Head, task_id: str, state: State, message: str | None, at: float) -> None:
        do(self._db, sql.CLOSE_TASK, (state, message, at, task_id[::-1]))
        if not self._db.changes():
            self.topics.give_back(head.root, task_id)
        do(self._db, "DELETE FROM subscriptions WHERE task = ?", (task_id,))

    def _patch(self, run: int, head: Head, patch: RunPatch) -> None:
        if patch.context is not None:
            self._rare[sql.SET_CONTEXT].append((run, patch.context))
        if patch.paused is not None:
            self._rare[sql.HOLD_TIMERS].append((HELD if patch.paused else -HELD, run))
        row = self._changed.patch(run, head, patch)
        if row is not None:
            self._rare[row[0]].append(row[1])

    def _close(self, run: int, head: Head, at: float) -> None:
        head.extras = 0
        self._changed.touch(run, head)
        if self._timers is not None:
            self._timers.forget(run)
        for statement in sql.CLOSE_RUN:
            do(self._db, statement, (run,))
        do(self._db, sql.CLOSE_TASKS, (at, run))

    def _subscribe(self, run: int, head: Head, row: SubscriptionRow, at: float) -> None:
        task = one(self._db, sql.OPEN_TASK, (row.task[::-1],))
        if task is None:
            return
        root = self.head(head.root) or head  # what the tree takes is forgotten at the root's end
        head.extras = root.extras = 1
        self._changed.touch(run, head)
        self._changed.touch(head.root, root)
        event = self.topics.earliest(head.root, row)
        if event is None:
            listens = (row.tenant, row.owner, row.topic, row.filter, row.shared)
            do(self._db, sql.NEW_SUBSCRIPTION, (row.task, run, *task[:2], *listens))
        else:
            self.pass_answer(event_answer(row.task, run, task[0], task[1], event.data, at))

    # -- writing

    def flush(self) -> None:
        """Write all that was collected; the batch can go on afterwards."""
        db, rare = self._db, self._rare
        hot = self._changed.write(rare)
        if self._timers is not None:
            self._timers.write(rare)
        if self._generations:
            rare[sql.SET_GENERATION] = [(number_, task[::-1]) for task, number_ in self._generations.items()]
            self._generations.clear()
        if self._steps and not (self._events and self._events[-1][sql.EVENT_POS] == self._cache.pos):
            rare[sql.KEEP_POSITION].append((self._cache.pos,))  # else no event tells that it was given
        if rare:
            do_each(db, rare, sql.FIRST)
        if self._steps:
            do_many(db, sql.UPSERT_STEP, self._steps)
            self._steps.clear()
        if self._events:
            do_many(db, sql.NEW_EVENT, self._events)
            self._events.clear()
        if hot:
            do_many(db, sql.UPDATE_HEAD, hot)
        if rare:
            do_each(db, rare, sql.THEN)
            rare.clear()
        if self._queues is not None:
            self._queues.give()

    def forget(self) -> None:
        """Forget the heads of trees that were let go of."""
        if self._gone:
            self._cache.forget(self._gone)
