"""Addresses of answer pages: sealed, so that they can't be guessed or changed, and of use for one wait only."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from agentflow.engine import Engine, WaitView
from agentflow.principal import Principal
from agentflow.server.links import LASTS, sealed, unsealed

PATH: Final = "answer"


class Link(NamedTuple):
    """What an address says."""

    wait_id: str
    principal: Principal
    """For whom the address was made: whoever has it answers in this name."""


def link_to(engine: Engine, url: str, view: WaitView, principal: Principal) -> str:
    """Return the address where a wait is answered.

    Args:
        engine: has the wait.
        url: where the agent is served, without a slash at its end.
        view: the wait.
        principal: who may answer it, and gives the address to a person.
    """
    data = {
        "wait": view.id, "owner": principal.owner, "tenant": principal.tenant, "scopes": sorted(principal.scopes),
        "groups": sorted(principal.groups),
    }  # fmt: skip
    return f"{url}/{PATH}/{sealed(engine, PATH, data, engine.core.env.now() + LASTS)}"


def opened(engine: Engine, token: str) -> Link | None:
    """Return what an address says; None where it is none, or is of no use any more."""
    data = unsealed(engine, PATH, token)
    return None if data is None else Link(data["wait"], _principal(data))


def _principal(data: dict[str, Any]) -> Principal:
    return Principal(data["owner"], data["tenant"], frozenset(data["scopes"]), frozenset(data["groups"]))
