"""Who executes what, and when something is due."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agentflow.errors import Defect
from agentflow.store.loaded import LoadedTree
from agentflow.store.rows import (
    TimerRow,
)
from agentflow.store.sqlite.base import Base
from agentflow.store.sqlite.batch import Batch, step_key
from agentflow.store.sqlite.rows import listed, load_tree
from agentflow.store.sqlite.sql import do, do_many, number, one, rows


class Leases(Base):
    """Leases of trees, timers, slots."""

    async def acquire(self, root: int, dead: Collection[str] = ()) -> LoadedTree | None:
        """Take the lease of a tree that has no holder, or one of `dead`, and load it."""
        if not self.holder:
            raise Defect("A store without a holder's name can't take a lease.")
        db, holder = self._writer.db, self.holder

        def work(_: Batch) -> LoadedTree | None:
            found = one(db, "SELECT holder FROM heads WHERE key = ? AND parent IS NULL", (root,))
            if found is None or (found[0] is not None and found[0] not in dead):
                return None
            do(db, "UPDATE heads SET holder = ?, epoch = epoch + 1, asleep = 0 WHERE key = ?", (holder, root))
            tree = load_tree(db, root)
            return tree if tree is None or found[0] is None else self._count_crashes(tree)

        with self._faults:
            taken = one(self._reader, "SELECT holder FROM heads WHERE key = ? AND parent IS NULL", (root,))
        if taken is None or (taken[0] is not None and taken[0] not in dead):
            return None
        return await self._write(work)

    def _count_crashes(self, tree: LoadedTree) -> LoadedTree | None:
        """Note in every step that was running that its host died."""
        running = [
            (step_key(step.run, step.n),)
            for run in tree.runs
            for step in run.steps
            if step.phase == "run" and step.state == "working"
        ]
        if not running:
            return tree
        do_many(self._writer.db, "UPDATE steps SET crashes = crashes + 1 WHERE key = ?", running)
        return load_tree(self._writer.db, tree.root)

    async def load(self, root: int) -> LoadedTree | None:
        """Load a tree without taking it."""
        db = self._reader
        with self._faults, db:
            return load_tree(db, root)

    async def claimable(self, dead: Collection[str] = (), limit: int = 1000) -> list[int]:
        """Return roots with something to do now that nobody (or a dead host) holds."""
        with self._faults:
            found = rows(
                self._reader,
                "SELECT key FROM heads WHERE parent IS NULL AND holder IS NULL AND asleep = 0 AND paused = 0"
                " AND state IN ('submitted', 'working')"
                " UNION SELECT key FROM heads WHERE holder IN (SELECT value FROM json_each(?1)) AND paused = 0"
                " AND state IN ('submitted', 'working')"
                " UNION SELECT i.root FROM inbox i JOIN heads h ON h.key = i.root"
                " WHERE h.holder IS NULL OR h.holder IN (SELECT value FROM json_each(?1))"
                " ORDER BY 1 LIMIT ?2",
                (listed(dead), limit),
            )
        return [values[0] for values in found]

    async def next_due(self, roots: Collection[int] | None = None) -> float | None:
        """Return the earliest due time of a timer, of these roots or of all."""
        with self._faults:
            if roots is None:
                found = one(self._reader, "SELECT min(due) FROM timers")
            else:
                found = one(
                    self._reader,
                    "SELECT min((SELECT min(due) FROM timers WHERE root = j.value)) FROM json_each(?) j",
                    (listed(roots),),
                )
        return found[0] if found else None

    async def due(
        self, now: float, roots: Collection[int] | None = None, limit: int = 500
    ) -> list[tuple[int, TimerRow]]:
        """Return (root, timer) for timers that are due, earliest first."""
        columns = "SELECT root, due, run, n, kind, entry FROM timers"
        with self._faults:
            if roots is None:
                found = rows(self._reader, f"{columns} WHERE due <= ? ORDER BY due LIMIT ?", (now, limit))
            else:
                found = rows(
                    self._reader,
                    f"{columns} WHERE root IN (SELECT value FROM json_each(?)) AND due <= ?"  # noqa: S608  a constant
                    " ORDER BY due LIMIT ?",
                    (listed(roots), now, limit),
                )
        return [(values[0], TimerRow(*values[1:])) for values in found]

    async def take_slots(self, wanted: Sequence[tuple[str, int, int, int]]) -> list[bool]:
        """Take store-wide concurrency slots: (key, limit, run, n) each."""
        db = self._writer.db

        def take(key: str, limit: int, run: int, n: int) -> bool:
            if one(db, "SELECT 1 FROM slots WHERE key = ? AND run = ? AND n = ?", (key, run, n)):
                return True
            if number(db, "SELECT count(*) FROM slots WHERE key = ?", (key,)) >= limit:
                return False
            do(db, "INSERT INTO slots (key, run, n) VALUES (?, ?, ?)", (key, run, n))
            do(db, "UPDATE heads SET extras = 1 WHERE key = ? AND extras = 0", (run,))
            return True

        return await self._write(lambda _: [take(*slot) for slot in wanted])

    async def hosts(self) -> list[str]:
        """Return ids of all holders named in leases."""
        with self._faults:
            found = rows(self._reader, "SELECT DISTINCT holder FROM heads WHERE holder IS NOT NULL ORDER BY holder")
        return [values[0] for values in found]
