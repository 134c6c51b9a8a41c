"""Who executes what, and when something is due."""

from __future__ import annotations

from collections.abc import Collection
from math import inf

from agentflow.errors import Defect
from agentflow.store.contract import Agents, Holders
from agentflow.store.loaded import LoadedTree
from agentflow.store.sqlite import queueing
from agentflow.store.sqlite.batch import Batch
from agentflow.store.sqlite.database import Database
from agentflow.store.sqlite.rows import listed, load_tree
from agentflow.store.sqlite.sql import do, one, rows
from agentflow.store.sqlite.statements import HAND_TIMERS
from agentflow.store.sqlite.timers import timers_due

# From one holder to the next: the trees of each may be many.
_HOLDERS = """
WITH RECURSIVE found (holder) AS (
  SELECT min(holder) FROM heads WHERE holder IS NOT NULL
  UNION ALL SELECT (SELECT min(h.holder) FROM heads h WHERE h.holder > f.holder) FROM found f WHERE f.holder IS NOT NULL
)
SELECT holder FROM found WHERE holder IS NOT NULL
"""

# ruff: noqa: S608  the only text put in is constants


def _claimable(of_agents: str = "") -> str:
    of_head = of_agents.replace("agent", "h.agent")
    return f"""
SELECT key FROM (
  SELECT key FROM heads INDEXED BY heads_ready WHERE parent IS NULL AND holder IS NULL AND asleep = 0 AND paused = 0
    AND state IN ('submitted', 'working') AND ?4 {of_agents}
  UNION SELECT key FROM heads WHERE holder IN (SELECT value FROM json_each(?1)) AND paused = 0
    AND state IN ('submitted', 'working') {of_agents}
  UNION SELECT i.root FROM inbox i JOIN heads h ON h.key = i.root
    WHERE ((?4 AND h.holder IS NULL) OR h.holder IN (SELECT value FROM json_each(?1))) {of_head}
) WHERE ?3 IS NULL OR key IN (SELECT value FROM json_each(?3)) ORDER BY 1 LIMIT ?2
"""


_CLAIMABLE = _claimable()
_CLAIMABLE_OF_AGENTS = _claimable("AND agent IN (SELECT value FROM json_each(?5))")
_LEFT = f"""
SELECT h.agent, count(*) FROM ({_claimable("AND agent NOT IN (SELECT value FROM json_each(?5))")}) c
JOIN heads h ON h.key = c.key GROUP BY h.agent ORDER BY h.agent
"""


class Leases:
    """Leases of trees, timers."""

    _database: Database

    async def acquire(self, root: int, dead: Collection[str] = ()) -> LoadedTree | None:
        """Take the lease of a tree that has no holder, or one of `dead`, and load it."""
        if not self._database.holder:
            raise Defect("A store without a holder's name can't take a lease.")
        db, holder = self._database.writer.db, self._database.holder

        def work(_: Batch) -> LoadedTree | None:
            found = one(db, "SELECT holder FROM heads WHERE key = ? AND parent IS NULL", (root,))
            if found is None or (found[0] is not None and found[0] not in dead):
                return None
            do(db, "UPDATE heads SET holder = ?, epoch = epoch + 1, asleep = 0 WHERE key = ?", (holder, root))
            do(db, HAND_TIMERS, (holder, root))
            return load_tree(db, root)

        with self._database.faults:
            taken = one(self._database.reader, "SELECT holder FROM heads WHERE key = ? AND parent IS NULL", (root,))
        if taken is None or (taken[0] is not None and taken[0] not in dead):
            return None
        return await self._database.write(work)

    async def load(self, root: int) -> LoadedTree | None:
        """Load a tree without taking it."""
        db = self._database.reader
        with self._database.faults, db:
            return load_tree(db, root)

    async def claimable(
        self,
        holders: Collection[str | None] = (None,),
        roots: Collection[int] | None = None,
        limit: int = 1000,
        agents: Agents = None,
    ) -> list[int]:
        """Return roots with something to do now."""
        text, args = _CLAIMABLE, [listed(holders), limit, None if roots is None else listed(roots), None in holders]
        if agents is not None:
            text = _CLAIMABLE_OF_AGENTS
            args.append(listed(agents))
        with self._database.faults:
            return [values[0] for values in rows(self._database.reader, text, tuple(args))]

    async def left_to_others(self, holders: Collection[str | None], agents: Collection[str]) -> dict[str, int]:
        """Return how many trees of other agents than these have something to do now, by agent."""
        with self._database.faults:
            found = rows(self._database.reader, _LEFT, (listed(holders), -1, None, None in holders, listed(agents)))
        return dict(found)

    async def next_due(
        self, roots: Collection[int] | None = None, holders: Holders = None, agents: Agents = None
    ) -> float | None:
        """Return the earliest due time of a timer, of these roots or of all."""
        with self._database.faults:
            found = timers_due(self._database.reader, inf, roots, holders, agents, 1)
        return found[0][1].due if found else None

    async def slot_holders(self, keys: Collection[str], dead: Collection[str]) -> list[tuple[int, str]]:
        """Return (root, agent) of trees of dead hosts in which a step has a slot of one of these keys."""
        with self._database.faults:
            return queueing.roots_holding(self._database.reader, keys, dead)

    async def hosts(self) -> list[str]:
        """Return ids of all holders named in leases."""
        with self._database.faults:
            found = rows(self._database.reader, _HOLDERS)
        return [values[0] for values in found]
