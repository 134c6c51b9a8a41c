"""What the workflows of a config need and haven't got, for `validate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from agentflow.engine import Engine
from agentflow.engine.commands.preflight import wants
from agentflow.errors import AgentflowError
from agentflow.requirements import Preflight
from agentflow.store import care
from agentflow.store.places import there

if TYPE_CHECKING:
    from agentflow.config import Config


def needs_of(config: Config) -> dict[str, Preflight]:
    """Return what workflows lack for who starts them on this machine, by id, those that lack something only.

    Who is connected stands in the store: without one, nobody is. A store of an older version isn't opened, as that
    would bring it up to date: then nothing is said of connections.
    """
    return anyio.run(_needs, config)


async def _needs(config: Config) -> dict[str, Preflight]:
    location = str(config.store_location)
    scheme, found, rest = location.partition("://")
    try:
        if there(Path(rest.removeprefix("/") if found else scheme)):
            if outdated(location):
                return _without_connections(await _found(config, ":memory:"))
            return await _found(config, location)
    except AgentflowError:
        pass  # it can't be opened: other commands tell
    return await _found(config, ":memory:")


def outdated(location: str) -> bool:
    """Whether opening a store would change it: an older version has made it."""
    try:
        seen = care.glance(location)
    except AgentflowError:  # there is none, or it can't be read: other checks tell
        return False
    return seen.schema < seen.latest


def _without_connections(found: dict[str, Preflight]) -> dict[str, Preflight]:
    left = {
        name: replace(needs, lacks=tuple(lack for lack in needs.lacks if lack.kind != "connection"))
        for name, needs in found.items()
    }
    return {name: needs for name, needs in left.items() if needs.lacks}


async def _found(config: Config, store: str) -> dict[str, Preflight]:
    async with Engine.open(store, config=config, host="none") as engine:
        found: dict[str, Preflight] = {}
        for name, workflow in config.workflows.items():
            if any(want.kind != "answer" for want in wants(engine.core.env, config, workflow)):
                needs = await engine.preflight(name)
                if needs.lacks:
                    found[name] = needs
        return found
