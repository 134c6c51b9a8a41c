"""Tells of each change of a run, whichever process it comes from."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

import anyio

from agentflow.engine import Engine
from agentflow.engine.finding import run_of
from agentflow.principal import Principal
from agentflow.store.rows import TERMINAL

PAUSE: Final = 0.1
"""Seconds between two changes that are told: a run may have thousands."""


async def changes(engine: Engine, run_id: str, principal: Principal) -> AsyncGenerator[None, None]:
    """Yield at once, then after each change of a run or of those below it, and for the last time when it has ended.

    Raises:
        NotFoundError: there is no such run, or it is somebody else's.
    """
    row = await run_of(engine.store, run_id, principal)
    with engine.watching.events(row.run) as watcher:
        while True:
            ended = (await run_of(engine.store, run_id, principal)).state in TERMINAL
            yield
            if ended:
                return
            await watcher.next()
            await anyio.sleep(PAUSE)
