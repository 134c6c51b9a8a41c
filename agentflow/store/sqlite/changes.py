"""Commits of other processes, as the database's own counter tells of them."""

from __future__ import annotations

from agentflow.store.sqlite.database import Database


class OthersCommits:
    """What one who looks again and again has seen."""

    def __init__(self, database: Database) -> None:
        """Begin with all that is committed now."""
        self._database = database
        self._seen = database.writer.others() if database.place.shared else 0

    async def look(self) -> bool:
        """Tell whether another process has committed since this was last asked."""
        database = self._database
        if not database.place.shared or not database.writer.idle:  # after our commit it is told of
            return False
        database.tend()
        version = database.writer.others()
        changed, self._seen = version != self._seen, version
        return changed
