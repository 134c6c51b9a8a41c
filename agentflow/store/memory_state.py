"""The memory store's tables: dicts, and how one change lands in them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from agentflow.data import decode, encode
from agentflow.store.common import INSIDE, OPEN, RUNNABLE, closing_state, ended, event_answer, kept, passed, subset
from agentflow.store.contract import Matches
from agentflow.store.memory_published import Topics
from agentflow.store.memory_slots import Slots
from agentflow.store.memory_timers import Timers
from agentflow.store.rows import (
    HELD,
    AnswerRow,
    ArtifactRow,
    EventRow,
    Inbox,
    MessageRow,
    NewRun,
    RunChange,
    RunPatch,
    RunRow,
    SharedRow,
    State,
    StepRow,
    SubscriptionRow,
    TaskRow,
    TaskView,
    added,
)
from agentflow.store.slot_rows import Grant
from agentflow.store.told import Stamp

LogEntry = tuple[int, int, str, int, str, int | None, str, str | None, bytes | None, float]
"""The fields of an `Event`, its data not decoded."""


class MemoryTask:
    """A wait or agent task, and what was answered."""

    __slots__ = ("answer", "answered_at", "by", "door", "generation", "message_id", "row")

    def __init__(self, row: TaskRow) -> None:
        """Keep a new task."""
        self.row = row
        self.generation = 0
        self.answer: bytes | None = None
        self.by: str | None = None
        self.door: str | None = None
        self.message_id: str | None = None
        self.answered_at: float | None = None


class MemoryRun:
    """A run with all rows that belong to it."""

    def __init__(self, key: int, new: NewRun, parent: MemoryRun | None) -> None:
        """Keep a new run."""
        self.key = key
        self.new = new
        self.parent = parent
        self.root: MemoryRun = parent.root if parent else self
        self.context_id = new.context_id or (parent.context_id if parent else new.id)
        self.labels = dict(new.labels)
        self.pins = dict(new.pins)
        self.children: dict[int, MemoryRun] = {}
        self.state: State = new.state
        self.reason: str | None = None
        self.error: bytes | None = None
        self.output: bytes | None = None
        self.output_step: int | None = None
        self.message: str | None = None
        self.memo: bytes | None = None
        self.now_text: str | None = None
        self.paused = False
        self.last_response: int | None = None
        self.tolerated = 0
        self.holder: str | None = None
        self.epoch = 0
        self.asleep = False
        self.seq = 0
        self.generation = 0
        self.updated_at = new.created_at
        self.ended_at: float | None = None
        self.context: bytes | None = None
        self.steps: dict[int, StepRow] = {}
        self.tasks: dict[str, MemoryTask] = {}
        self.heard = 0
        """Of a root: the last event that was published when it began."""
        self.events: list[LogEntry] = []
        self.shared: list[SharedRow] = []
        self.artifacts: list[ArtifactRow] = []
        self.messages: list[MessageRow] = []

    def tree(self) -> Iterator[MemoryRun]:
        """Give this run and its descendants, parents first."""
        level = [self]
        while level:
            yield from level
            level = [child for run in level for child in run.children.values()]

    def row(self) -> RunRow:
        """Return the run as doors and the engine see it."""
        new, parent, root = self.new, self.parent, self.root
        return RunRow(
            run=self.key, id=new.id, root=root.key, root_id=root.new.id, parent=parent.key if parent else None,
            parent_id=parent.new.id if parent else None, parent_step=new.parent_step, workflow=new.workflow,
            definition=new.definition, entry_point=new.entry_point, input=new.input, state=self.state,
            reason=self.reason, error=self.error, output=self.output, output_step=self.output_step,
            message=self.message, start_message=new.message, memo=self.memo, now_text=self.now_text, owner=new.owner,
            context_id=self.context_id, door=new.door, labels=self.labels, pins=self.pins,
            idempotency_key=new.idempotency_key, fingerprint=new.fingerprint, retry_of=new.retry_of,
            paused=self.paused, last_response=self.last_response, holder=root.holder, epoch=root.epoch, seq=self.seq,
            generation=self.generation, created_at=new.created_at, updated_at=self.updated_at,
            ended_at=self.ended_at, context=self.context, tolerated=self.tolerated,
        )  # fmt: skip

    def patch(self, patch: RunPatch) -> None:
        """Change some fields. A run that has ended keeps its state and what explains it."""
        self.updated_at = max(self.updated_at, patch.at)
        if not ended(self.state):
            if patch.state is not None:
                self.state, self.reason = patch.state, patch.reason
                if ended(patch.state):
                    self.ended_at = patch.at if patch.ended_at is None else patch.ended_at
            elif patch.reason is not None:
                self.reason = patch.reason
            for name in ("error", "output", "output_step"):
                if (value := getattr(patch, name)) is not None:
                    setattr(self, name, value)
        for name in ("message", "paused", "now_text", "last_response", "tolerated"):
            if (value := getattr(patch, name)) is not None:
                setattr(self, name, value)
        if patch.memo is not None:
            self.memo = patch.memo or None


class Tables:
    """All rows, and the one way in which they change."""

    def __init__(self) -> None:
        """Start empty."""
        self.runs: dict[int, MemoryRun] = {}
        self.ids: dict[str, int] = {}
        self.tasks: dict[str, MemoryTask] = {}
        self.idempotent: dict[tuple[str, str, str], int] = {}
        self.active: dict[int, None] = {}
        """Roots that a host should move on."""
        self.timers = Timers()
        self.slots = Slots()
        self.inbox: dict[int, tuple[int, Inbox]] = {}
        self.subscriptions: dict[str, SubscriptionRow] = {}
        self.topics = Topics()
        self.log: list[LogEntry] = []
        self.pos = 0
        self.inbox_id = 0
        self.matches: Matches = subset

    def create(self, key: int, new: NewRun, holder: str) -> MemoryRun:
        """Add a run."""
        run = MemoryRun(key, new, self.runs[new.parent] if new.parent is not None else None)
        run.heard = self.topics.last
        self.runs[key] = run
        self.ids[new.id] = key
        if new.idempotency_key is not None:
            self.idempotent[new.owner, new.workflow, new.idempotency_key] = key
        if run.parent:
            run.parent.children[key] = run
        elif holder:
            run.holder, run.epoch = holder, 1
        self._note_active(run)
        return run

    def may_create(self, new: NewRun, key: int, root: int) -> bool:
        """Tell whether neither key, id nor idempotency key is taken, and the parent is in this tree."""
        if new.id in self.ids or key in self.runs:
            return False
        parent = None if new.parent is None else self.runs.get(new.parent)
        if (parent.root.key if parent else key) != root or (new.parent is not None and parent is None):
            return False
        name = new.idempotency_key
        return name is None or (new.owner, new.workflow, name) not in self.idempotent

    def apply(self, run: MemoryRun, change: RunChange) -> None:
        """Land one change whose fence has been checked."""
        patch = change.patch
        for answer in change.answers:
            self.answer(answer)
        if change.free or change.slots:
            self._take_slots(run, change)
        steps, events = kept(change)
        for step in steps:
            self.upsert_step(run, step)
        if patch is not None and patch.paused is not None:
            self.timers.shift(run.key, HELD if patch.paused else -HELD)
        for n, kind in change.drop_timers:
            self.timers.drop((run.key, n, kind))
        for timer in change.timers:
            self.timers.add(timer)
        for task in change.tasks:
            self._upsert_task(run, task)
        at = patch.at if patch else max((event.at for event in change.events), default=run.updated_at)
        for task_id, state, message in change.close_tasks:
            self.close_task(task_id, state, message, at)
        if change.drop_shared:
            inside = tuple(address + sign for address in change.drop_shared for sign in INSIDE)
            run.shared = [row for row in run.shared if not row.address.startswith(inside)]
        run.shared.extend(change.shared)
        run.artifacts.extend(change.artifacts)
        run.messages.extend(change.messages)
        if patch:
            run.patch(patch)
            self._note_active(run)
        self.append(run, events)
        for inbox_id in change.inbox_done:
            self.inbox.pop(inbox_id, None)
        if ended(run.state):
            self._close(run, at)
        for subscription in change.subscriptions:
            self._subscribe(run, subscription, at)
        change.stamp = Stamp(run.seq, run.generation, run.updated_at)

    def _take_slots(self, run: MemoryRun, change: RunChange) -> None:
        """Take back what a change frees; give those who ask free slots, or places at the end of their queues."""
        for n in change.free:
            self.slots.free(run.key, n)
        claims = {row.n: row for row in change.unclaimed}
        for row in change.slots:
            has = self.slots.ask(run.key, row)
            if not has and row.n in claims:
                change.queued = added(change.queued, claims[row.n])
            elif has and row.n not in claims:
                change.grants = added(change.grants, Grant(run.key, row.n, run.root.key, run.root.holder))

    def upsert_step(self, run: MemoryRun, step: StepRow) -> None:
        """Insert or update one step."""
        known = run.steps.get(step.n)
        result, memo = step.result, step.memo
        if known:
            result = known.result if result is None else result
            memo = known.memo if memo is None else memo
        run.steps[step.n] = step._replace(run=run.key, result=result, memo=memo or None)

    def append(self, run: MemoryRun, events: Collection[EventRow]) -> None:
        """Append events to a run's log."""
        for row in events:
            generation: int | None = None
            if row.bumps:
                counted = self.tasks.get(row.task) if row.task else run
                if counted:
                    counted.generation += 1
                    generation = counted.generation
            run.seq += 1
            self.pos += 1
            # a plain tuple: the garbage collector lets those of plain values alone, and the log is long
            event: LogEntry = (
                self.pos, run.key, run.new.id, run.seq, row.task or run.new.id, generation, row.type, row.step,
                row.data, row.at,
            )  # fmt: skip
            run.events.append(event)
            self.log.append(event)
            run.updated_at = max(run.updated_at, row.at)

    def command(self, run: MemoryRun, kind: str, n: int, task: str | None, data: Any) -> None:
        """Leave a command for the holder of a run."""
        self.inbox_id += 1
        row = Inbox(self.inbox_id, run.key, kind, n, task, decode(encode(data)))
        self.inbox[self.inbox_id] = (run.root.key, row)

    def answer(self, row: AnswerRow) -> None:
        """Answer an open wait."""
        task = self.tasks[row.task]
        task.row = task.row._replace(state=closing_state(row.answer), updated_at=row.at)
        task.answer, task.by, task.door = encode(row.answer), row.by, row.door
        task.message_id, task.answered_at = row.message_id, row.at
        self.subscriptions.pop(row.task, None)
        data = encode({"by": row.by, "door": row.door})
        self.append(self.runs[row.run], [EventRow("step_resumed", row.step, data, row.at, row.task, bumps=True)])

    def pass_answer(self, row: AnswerRow) -> None:
        """Answer an open wait, and leave it to the holder to carry that out."""
        self.answer(row)
        self.command(self.runs[row.run], "answer", row.n, row.task, passed(row))

    def close_task(self, task_id: str, state: State, message: str | None, at: float) -> None:
        """End an open task."""
        task = self.tasks.get(task_id)
        if task and task.row.state in OPEN:
            row = task.row
            task.row = row._replace(
                state=state, message=row.message if message is None else message, updated_at=max(row.updated_at, at)
            )
            self.subscriptions.pop(task_id, None)
        elif task:
            self.topics.give_back(self.runs[task.row.run].root.key, task_id)

    def give_slots(self, changes: Sequence[RunChange], holder: str) -> None:
        """Give free slots to those who are next, told by the first of the changes; take out who would wait for ever."""
        nested = [(change, row) for change in changes for row in change.slots if row.within]
        while True:
            for run, n, key in self.slots.give():
                root = self.runs[run].root
                if root.holder != holder:
                    self.command(self.runs[run], "slot", n, None, key)
                if changes:
                    changes[0].grants = added(changes[0].grants, Grant(run, n, root.key, root.holder))
            stuck = self.slots.stuck() if nested else ()
            lost = next(((c, row.n) for c, row in nested if (c.run, row.n) in stuck), None)
            if lost is None:
                return
            change, n = lost
            self.slots.free(change.run, n)
            change.deadlocked = added(change.deadlocked, n)

    def delete(self, top: MemoryRun) -> None:
        """Delete a run with its descendants."""
        gone = {run.key: run for run in top.tree()}
        if top.parent:
            del top.parent.children[top.key]
        for run in gone.values():
            self._close(run, run.updated_at)
            for task_id in run.tasks:
                del self.tasks[task_id]
            del self.runs[run.key]
            del self.ids[run.new.id]
            self.active.pop(run.key, None)
            if run.new.idempotency_key is not None:
                del self.idempotent[run.new.owner, run.new.workflow, run.new.idempotency_key]
        self.inbox = {i: entry for i, entry in self.inbox.items() if entry[1].run not in gone}
        self.log = [event for event in self.log if event[1] not in gone]
        self.give_slots((), "")

    def view(self, task: MemoryTask) -> TaskView:
        """Return a task as doors see it."""
        run = self.runs[task.row.run]
        return TaskView(
            task.row, run.new.id, run.root.new.id, run.new.workflow, run.new.owner,
            None if task.answer is None else decode(task.answer), task.by, task.door, task.message_id,
            task.answered_at, task.generation, run.root.key,
        )  # fmt: skip

    def forget_published(self, before: float) -> None:
        """Forget published events that are older than every run that could still ask for them."""
        roots = [run for run in self.runs.values() if run.parent is None and not ended(run.state)]
        oldest = min((run.new.created_at for run in roots), default=before)
        heard = min((run.heard for run in roots), default=self.topics.last)
        self.topics.forget(min(oldest, before), heard)

    def _upsert_task(self, run: MemoryRun, row: TaskRow) -> None:
        task = self.tasks.get(row.id)
        if task is None:
            task = self.tasks[row.id] = run.tasks[row.id] = MemoryTask(row)
        elif task.row.state in OPEN:
            task.row = row._replace(created_at=task.row.created_at)

    def _subscribe(self, run: MemoryRun, row: SubscriptionRow, at: float) -> None:
        task = self.tasks.get(row.task)
        if task is None or task.row.state not in OPEN:
            return
        root, given = run.root, task.row
        found = self.topics.earliest(root.key, root.heard, row, self.matches)
        if found is None:
            self.subscriptions[row.task] = row._replace(run=run.key)
        else:
            self.pass_answer(event_answer(given.id, given.run, given.n, given.step, found[0], at))

    def _note_active(self, run: MemoryRun) -> None:
        if run.parent is None:
            if run.state in RUNNABLE and not run.paused:
                self.active[run.key] = None
            else:
                self.active.pop(run.key, None)

    def _close(self, run: MemoryRun, at: float) -> None:
        for task_id in [task_id for task_id, task in run.tasks.items() if task.row.state in OPEN]:
            self.close_task(task_id, "canceled", None, at)
        self.timers.drop_run(run.key)
        self.slots.free(run.key)
        self.topics.forget_tree(run.key)
