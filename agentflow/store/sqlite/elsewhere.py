"""What turns of agents have begun elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agentflow.store.elsewhere import Begun
from agentflow.store.sqlite.database import Database
from agentflow.store.sqlite.rows import listed
from agentflow.store.sqlite.sql import do, rows

_LEFT = """
SELECT e.turn, e.agent, e.type, e.step, e.state FROM elsewhere e
WHERE e.agent IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (
  SELECT 1 FROM tasks t WHERE t.ending = e.ending
    AND t.state NOT IN ('completed', 'failed', 'canceled', 'rejected'))
ORDER BY e.turn LIMIT ?2
"""


class SqliteElsewhere:
    """It, in one database."""

    def __init__(self, database: Database) -> None:
        """Made over an open database."""
        self._database = database

    async def note(self, begun: Begun) -> None:
        """Keep what a turn has begun."""
        writer = self._database.writer
        values = (*begun, begun.turn[::-1])
        await writer.transact(lambda db: do(db, "REPLACE INTO elsewhere VALUES (?, ?, ?, ?, ?, ?)", values), writer.db)

    async def forget(self, turns: Collection[str]) -> None:
        """Forget what turns had begun."""
        writer, values = self._database.writer, (listed(turns),)
        delete = "DELETE FROM elsewhere WHERE turn IN (SELECT value FROM json_each(?))"
        await writer.transact(lambda db: do(db, delete, values), writer.db)

    async def left(self, agents: Collection[str], limit: int = 500) -> Sequence[Begun]:
        """Return what turns have begun that are over."""
        with self._database.faults:
            return [Begun._make(row) for row in rows(self._database.reader, _LEFT, (listed(agents), limit))]
