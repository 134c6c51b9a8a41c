"""Takes the workflows of a config file that was changed while it is served."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from agentflow.config import Config
from agentflow.config.load import load_config
from agentflow.errors import AgentflowError
from agentflow_mcp.desk import Desk

LOOK: Final = 2.0
"""Seconds between two looks at the files."""
_log = logging.getLogger("agentflow.mcp")


async def keep_up(desk: Desk, seconds: float = LOOK) -> None:
    """Take the workflows of a desk's config whenever its files have changed; what is wrong with them is logged.

    Args:
        desk: offers them.
        seconds: between two looks.
    """
    file = desk.engine.config.file
    if file is None:
        return
    seen = _stamps(desk.engine.config)
    while True:
        await anyio.sleep(seconds)
        now = _stamps(desk.engine.config)
        if now == seen:
            continue
        seen = now
        try:
            desk.reload(await anyio.to_thread.run_sync(load_config, file))
        except AgentflowError as error:
            _log.warning("the changed config isn't taken: %s", error)
        else:
            seen = _stamps(desk.engine.config)


def _stamps(config: Config) -> Sequence[tuple[str, int, int]]:
    """Return what tells whether a config's files have changed."""
    found = list[tuple[str, int, int]]()
    for name in (str(config.file), *config.documents):
        try:
            told = Path(name).stat()
        except OSError:
            continue
        found.append((name, told.st_mtime_ns, told.st_size))
    return found
