"""What the workflows of a config need and haven't got, for `validate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from agentflow.engine import Engine
from agentflow.engine.commands.preflight import wants
from agentflow.errors import AgentflowError
from agentflow.requirements import Preflight
from agentflow.store.places import there

if TYPE_CHECKING:
    from agentflow.config import Config


def needs_of(config: Config) -> dict[str, Preflight]:
    """Return what workflows lack for who starts them on this machine, by id, those that lack something only.

    Who is connected stands in the store: without one, nobody is.
    """
    return anyio.run(_needs, config)


async def _needs(config: Config) -> dict[str, Preflight]:
    location = str(config.store_location)
    scheme, found, rest = location.partition("://")
    try:
        if there(Path(rest.removeprefix("/") if found else scheme)):
            return await _found(config, location)
    except AgentflowError:
        pass  # it can't be opened: other commands tell
    return await _found(config, ":memory:")


async def _found(config: Config, store: str) -> dict[str, Preflight]:
    async with Engine.open(store, config=config, host="none") as engine:
        found: dict[str, Preflight] = {}
        for name, workflow in config.workflows.items():
            if any(want.kind != "answer" for want in wants(engine.core.env, config, workflow)):
                needs = await engine.preflight(name)
                if needs.lacks:
                    found[name] = needs
        return found
