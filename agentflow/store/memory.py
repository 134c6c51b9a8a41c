"""The store for tests and throw-away runs: the same promises as any other, in dicts, and nothing on a disk."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from agentflow.data import decode, encode
from agentflow.errors import Defect
from agentflow.store.common import OPEN, ended, event_answer, judge_ended
from agentflow.store.contract import Answered, Dead, Definitions, Matches
from agentflow.store.loaded import LoadedRun, LoadedTree
from agentflow.store.memory_records import Base, Runs, Tasks
from agentflow.store.memory_state import LogEntry, MemoryRun
from agentflow.store.rows import (
    AnswerRow,
    Event,
    EventRow,
    Inbox,
    RunChange,
    RunQuery,
    RunRow,
    State,
    StepRow,
    TimerRow,
)
from agentflow.store.slot_rows import SlotWait
from agentflow.store.told import Fenced


class _Ledger(Base):
    async def commit(self, changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
        """Land many transitions, each of them wholly or not at all; keep definitions by hash."""
        for name, body in (definitions or {}).items():
            self.definitions.setdefault(name, body)
        tables, refused, landed, kept = self.tables, list[Fenced](), list[RunChange](), set[int]()
        for change in changes:
            root, create = tables.runs.get(change.root), change.create
            if (create is None or create.parent is not None) and not self._fits(root, change, kept):
                run = None
            elif create is None:
                run = tables.runs.get(change.run)
            elif tables.may_create(create, change.run, change.root):
                run = tables.create(change.run, create, self.holder)
            else:
                run = None
            if run is None or run.root.key != change.root:
                refused.append(Fenced(change.run))
                continue
            tables.apply(run, change)
            landed.append(change)
        for change in landed:
            if change.release:
                change.stays = change.run in tables.topics.answered
                run = tables.runs[change.run]
                if not change.stays:
                    run.holder, run.asleep = None, change.asleep
        tables.topics.write()
        tables.give_slots(landed, self.holder)
        return refused

    def _fits(self, root: MemoryRun | None, change: RunChange, kept: set[int]) -> bool:
        """Tell whether a change comes from the holder of its tree, or from one who takes it now."""
        if root is None:
            return False
        if not change.take:
            return root.epoch == change.epoch and change.root not in kept
        if not self._take(root, change):
            kept.add(change.root)  # whoever was quicker has the same epoch
            return False
        return True

    def _take(self, root: MemoryRun, change: RunChange) -> bool:
        """Take the lease of a tree, if nobody holds it and it is as the change knows it."""
        if root.epoch != change.epoch - 1 or root.parent or root.holder is not None:
            return False
        tasks = (self.tables.tasks.get(row.task) for row in change.answers)
        if any(task is None or task.row.state not in OPEN for task in tasks):
            return False
        root.holder, root.epoch, root.asleep = self.holder, change.epoch, False
        return True

    async def get_definition(self, digest: str) -> bytes | None:
        """Return a definition, or None."""
        return self.definitions.get(digest)

    async def find_idempotent(self, owner: str, workflow: str, key: str) -> RunRow | None:
        """Return the run that was started with this idempotency key."""
        known = self.tables.idempotent.get((owner, workflow, key))
        return None if known is None else self.tables.runs[known].row()

    async def acquire(self, root: int, dead: Collection[str] = ()) -> LoadedTree | None:
        """Take the lease of a tree that has no holder, or one of `dead`, and load it."""
        if not self.holder:
            raise Defect("A store without a holder's name can't take a lease.")
        run = self.tables.runs.get(root)
        if run is None or run.parent or (run.holder is not None and run.holder not in dead):
            return None
        run.holder, run.asleep = self.holder, False
        run.epoch += 1
        return await self.load(root)

    async def load(self, root: int) -> LoadedTree | None:
        """Load a tree without taking it."""
        top = self.tables.runs.get(root)
        if top is None:
            return None
        runs = [
            LoadedRun(run.row(), list(run.steps.values()), list(run.shared), self.tables.slots.of(run.key))
            for run in top.tree()
            if run is top or not ended(run.state)
        ]
        return LoadedTree(root, top.epoch, runs, [row for key, row in self.tables.inbox.values() if key == root])

    async def claimable(
        self, dead: Collection[str] = (), limit: int = 1000, roots: Collection[int] | None = None
    ) -> list[int]:
        """Return roots with something to do now that nobody (or a dead host) holds."""
        runs = self.tables.runs
        awake = (root for root in self.tables.active if not runs[root].asleep)
        wanted = {*awake, *(root for root, _ in self.tables.inbox.values())}
        free = (
            root
            for root in sorted(wanted)
            if (runs[root].holder is None or runs[root].holder in dead) and (roots is None or root in roots)
        )
        return [root for root, _ in zip(free, range(limit), strict=False)]

    def _concerns(self, root: MemoryRun, roots: Collection[int] | None, dead: Dead) -> bool:
        """Tell whether a tree is one of these, and one that this holder may see to."""
        if roots is not None and root.key not in roots:
            return False
        return dead is None or root.holder in {None, self.holder, *dead}

    async def next_due(self, roots: Collection[int] | None = None, dead: Dead = None) -> float | None:
        """Return the earliest due time of a timer."""
        runs = self.tables.runs
        return next((t.due for t in self.tables.timers if self._concerns(runs[t.run].root, roots, dead)), None)

    async def due(
        self, now: float, roots: Collection[int] | None = None, limit: int = 500, dead: Dead = None
    ) -> list[tuple[int, TimerRow]]:
        """Return (root, timer) for timers that are due, earliest first."""
        found: list[tuple[int, TimerRow]] = []
        for timer in self.tables.timers:
            if timer.due > now or len(found) >= limit:
                break
            root = self.tables.runs[timer.run].root
            if self._concerns(root, roots, dead):
                found.append((root.key, timer))
        return found

    async def answer(
        self, task_id: str, answer: Mapping[str, Any], *, by: str, door: str, message_id: str | None, at: float
    ) -> Answered:
        """Decide an open wait, and leave a command for the holder."""
        tables = self.tables
        task = tables.tasks.get(task_id)
        if task is None:
            return Answered("unknown", None)
        holder = tables.runs[task.row.run].root.holder
        if task.row.state not in OPEN:
            return Answered(judge_ended(task.answer, answer, task.message_id, message_id), tables.view(task), holder)
        given = task.row
        tables.pass_answer(AnswerRow(given.id, given.run, given.n, given.step, answer, by, door, message_id, at))
        return Answered("accepted", tables.view(task), holder)

    async def request(self, run_id: str, kind: str, data: Any, events: Sequence[EventRow] = ()) -> str | None:
        """Leave a command for the holder of a run."""
        run = self.known(run_id)
        self.tables.command(run, kind, -1, None, data)
        self.tables.append(run, events)
        return run.root.holder

    async def inbox(
        self, roots: Collection[int] | None = None, after: int = 0, dead: Dead = None
    ) -> list[tuple[int, Inbox]]:
        """Return (root, command) for waiting commands in order."""
        return [
            entry
            for number, entry in self.tables.inbox.items()
            if number > after and self._concerns(self.tables.runs[entry[0]], roots, dead)
        ]

    async def publish(
        self, topic: str, data: Any, event_id: str | None, at: float, matches: Matches, *, owner: str = "local"
    ) -> tuple[int, list[str]]:
        """Store an event and hand it to every matching open subscription of its owner."""
        tables = self.tables
        pos = tables.topics.publish(owner, topic, encode(data), event_id, at)
        if pos is None:
            return 0, []
        reached, holders = 0, dict[str, None]()
        for row in list(tables.subscriptions.values()):
            if (row.owner, row.topic) != (owner, topic):
                continue
            if row.filter is None or matches(decode(row.filter), data):
                task, root = tables.tasks[row.task].row, tables.runs[row.run].root
                tables.pass_answer(event_answer(task.id, task.run, task.n, task.step, data, at))
                tables.topics.take(root.key, pos, task.id)
                reached += 1
                if root.holder is not None:
                    holders[root.holder] = None
        tables.topics.write()
        return reached, list(holders)

    async def slot_holders(self, keys: Collection[str], dead: Collection[str]) -> list[int]:
        """Return roots of trees of dead hosts in which a step has a slot of one of these keys."""
        held = (self.tables.runs[run].root for key in keys for run, _ in self.tables.slots.holders(key))
        return sorted({root.key for root in held if root.holder in dead})

    async def hosts(self) -> list[str]:
        """Return ids of all holders named in leases."""
        return sorted({run.holder for run in self.tables.runs.values() if run.holder is not None})


class MemoryStore(Runs, Tasks, _Ledger):
    """A store of one process, gone with it."""

    async def list_runs(self, query: RunQuery) -> list[RunRow]:
        """Return runs, newest first."""
        return [run.row() for run in self._select(query)[: query.limit]]

    async def count_runs(self, query: RunQuery) -> int:
        """Count them; the limit doesn't apply."""
        return len(self._select(query))

    async def events(self, run_id: str, after: int = 0, limit: int = 1000, tree: bool = False) -> list[Event]:
        """Return events of a run after a `seq`, or of its tree after a `pos`."""
        run = self.run(run_id)
        if run is None:
            return []
        if not tree:
            return _decoded(run.events[after : after + limit])
        members = {member.key for member in run.tree()}
        start = bisect_right(self.tables.log, after, key=_pos)
        found = (event for event in self.tables.log[start:] if event[1] in members)
        return _decoded([event for event, _ in zip(found, range(limit), strict=False)])

    async def all_events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return events of all runs after a `pos`, in commit order."""
        start = bisect_right(self.tables.log, after, key=_pos)
        return _decoded(self.tables.log[start : start + limit])

    async def slot_waits(self, root: int) -> list[SlotWait]:
        """Return which steps of a tree wait for a slot of a key, and who holds those."""
        runs = self.tables.runs
        top = runs.get(root)
        members = {run.key for run in top.tree()} if top is not None else set[int]()
        return [
            SlotWait(*place.step, place.key, place.limit, len(holders), ahead, [
                (runs[run].new.id, runs[run].steps[n].address) for run, n in holders[:3]
            ])
            for place, ahead, holders in self.tables.slots.waiting()
            if place.step[0] in members
        ]  # fmt: skip

    async def result(self, run: int, n: int) -> bytes | None:
        """Return one step's result."""
        known = self.tables.runs.get(run)
        step = known.steps.get(n) if known else None
        return step.result if step else None

    async def salvage_steps(self, run_id: str) -> tuple[list[StepRow], frozenset[int]]:
        """Return the steps of a run; none of them is damaged."""
        return await self.list_steps(run_id), frozenset()

    async def salvage_tree(self, root: int) -> LoadedTree | None:
        """Load a tree; nothing of it is damaged."""
        return await self.load(root)

    async def purge(self, older_than: float, states: Collection[State], limit: int = 500) -> int:
        """Delete one batch of root runs that ended before a time."""
        tables = self.tables
        old = [
            run
            for run in tables.runs.values()
            if run.parent is None
            and run.ended_at is not None
            and run.ended_at < older_than
            and ended(run.state)
            and run.state in states
        ]
        old.sort(key=lambda run: (run.ended_at or 0.0, run.key))
        for run in old[:limit]:
            tables.delete(run)
        tables.forget_published(older_than)
        needed = {name for run in tables.runs.values() for name in (run.new.definition, *run.new.pins.values())}
        self.definitions = {name: body for name, body in self.definitions.items() if name in needed}
        return len(old[:limit])

    def changed(self) -> bool:
        """No other process sees this store."""
        return False

    def _select(self, query: RunQuery) -> list[MemoryRun]:
        runs: Iterable[MemoryRun] = self.tables.runs.values()
        if query.parent is not None:
            parent = self.run(query.parent)
            runs = parent.children.values() if parent else ()
        mark = self.run(query.before) if query.before is not None else None
        chosen = [
            run
            for run in runs
            if (query.parent is not None or run.parent is None)
            and (not query.states or run.state in query.states)
            and (query.workflow is None or run.new.workflow == query.workflow)
            and (query.owner is None or run.new.owner == query.owner)
            and (query.context_id is None or run.context_id == query.context_id)
            and (query.since is None or run.new.created_at >= query.since)
            and (query.before is None or (mark is not None and _run_age(run) < _run_age(mark)))
            and all(run.labels.get(name) == value for name, value in query.labels.items())
        ]
        return sorted(chosen, key=_run_age, reverse=True)


def _run_age(run: MemoryRun) -> tuple[float, int]:
    return run.new.created_at, run.key


def _pos(event: LogEntry) -> int:
    return event[0]


def _decoded(events: Sequence[LogEntry]) -> list[Event]:
    return [Event(*event[:8], None if event[8] is None else decode(event[8]), event[9]) for event in events]
