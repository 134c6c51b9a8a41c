"""Deletes runs that have been over for as long as the config keeps them."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import anyio

from agentflow.engine.host.core import Core
from agentflow.errors import StoreError
from agentflow.store.rows import ENDED, State
from agentflow.store.views import PurgeQuery

log = logging.getLogger("agentflow")

OFTEN, RARELY = 1.0, 3600.0
"""Seconds between two looks: at least and at most."""
_PARTS = 10
"""How often is looked in the shortest time that runs are kept: none is kept for much longer."""


class Retention:
    """Looks for such runs when the host begins, and again and again. Several hosts may: what one deleted is gone."""

    def __init__(self, core: Core, keeps: Mapping[State, float]) -> None:
        """Delete nothing yet.

        Args:
            core: of the host, whose agent's runs they are.
            keeps: seconds after its end that a run in each state is kept; a run that says it itself is kept so long.
        """
        self._core = core
        self._keeps = keeps

    async def serve(self) -> None:
        """Delete what needn't be kept; never ends by itself."""
        pause = min(max(min(self._keeps.values()) / _PARTS, OFTEN), RARELY)
        while True:
            try:
                await self.purge()
            except StoreError as error:  # a full disk, say; the next look may succeed
                self._core.health.notice(error)
                log.warning("old runs weren't deleted: %s", error.what)
            await anyio.sleep(pause)

    async def purge(self) -> int:
        """Delete what needn't be kept now; returns how many root runs."""
        now, agents, total = self._core.env.now(), self._core.env.agents, 0
        longest = max(self._keeps.values())  # what was published, runs to come may ask for
        looks = [
            PurgeQuery(now, age, (state,), agents=agents, events=age == longest) for state, age in self._keeps.items()
        ]
        for query in [*looks, PurgeQuery(now, None, ENDED, agents=agents)]:
            while count := await self._core.store.purge(query):
                total += count
        return total
