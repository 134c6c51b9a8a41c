"""Addresses where somebody begins to sign in: sealed, and of use for one wait of one owner only."""

from __future__ import annotations

from typing import Final, NamedTuple

from agentflow.engine import Engine, WaitView
from agentflow.principal import Principal
from agentflow.server.links import LASTS, sealed, unsealed

PATH: Final = "connections/login"
BACK: Final = "connections/callback"
_PAGE = "login"


class Link(NamedTuple):
    """What an address says."""

    wait_id: str
    principal: Principal
    """Whose connection is made: the owner of the run that waits, whoever opens the address."""


def link_to(engine: Engine, url: str, view: WaitView) -> str:
    """Return the address where somebody signs in whom a wait asks to.

    Args:
        engine: has the wait.
        url: where the agent is served, without a slash at its end.
        view: the wait, of kind `auth`.
    """
    until = max(engine.core.env.now() + LASTS, view.expires_at or 0.0)  # as long as the wait may be open
    data = {"wait": view.id, "owner": view.owner, "tenant": view.tenant}
    return f"{url}/{PATH}/{sealed(engine, _PAGE, data, until)}"


def opened(engine: Engine, token: str) -> Link | None:
    """Return what an address says; None where it is none, or is of no use any more."""
    data = unsealed(engine, _PAGE, token)
    return None if data is None else Link(data["wait"], Principal(data["owner"], data["tenant"]))
