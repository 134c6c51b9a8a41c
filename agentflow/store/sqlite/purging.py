"""What purging deletes."""

from __future__ import annotations

from functools import partial

import anyio.lowlevel

from agentflow.store.sqlite.batch import Batch
from agentflow.store.sqlite.database import Database
from agentflow.store.sqlite.queries import delete_runs, forget_published, purgeable, thin_out
from agentflow.store.sqlite.rows import tree_keys
from agentflow.store.views import PurgeQuery

_ROOM = 2000
"""Rows that one transaction deletes: commits of others go between, and the event loop isn't held up."""


class Purging:
    """Deletes what needn't be kept."""

    _database: Database

    async def purge(self, query: PurgeQuery, limit: int = 500) -> int:
        """Delete one batch of ended root runs that needn't be kept."""
        db = self._database.writer.db

        def work(_: Batch, most: int) -> tuple[int, bool]:
            gone, room = 0, _ROOM
            for root in purgeable(db, query, min(most, _ROOM // 20)):
                tree = tree_keys(db, root)
                # Of a large run first the bulk goes, a part at a time, then what makes it a run.
                room = thin_out(db, tree, room)
                if room <= 0:
                    return gone, True
                delete_runs(db, tree)
                gone += 1
            return gone, gone > 0

        gone, more = 0, True
        while more and gone < limit:
            count, more = await self._database.write(partial(work, most=limit - gone))
            gone += count
            await anyio.lowlevel.checkpoint()

        if query.age is not None and query.events and query.principal.sees_all:
            oldest = query.now - query.age

            def forget(_: Batch) -> None:
                forget_published(db, oldest)

            await self._database.write(forget)
        return gone
