"""Addresses where somebody begins to sign in: sealed, and of use for one wait of one owner only."""

from __future__ import annotations

from typing import Final, NamedTuple

from agentflow.data import decode, encode, is_object
from agentflow.engine import Engine, WaitView
from agentflow.errors import InputError
from agentflow.principal import Principal

PATH: Final = "connections/login"
BACK: Final = "connections/callback"
LASTS: Final = 7 * 24 * 3600.0
"""Seconds for which an address is of use; longer where its wait is open longer."""


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
    data = {"wait": view.id, "owner": view.owner, "tenant": view.tenant, "until": until}
    return f"{url}/{PATH}/{engine.sealer.seal(encode(data), purpose=_purpose(engine), owner='')}"


def opened(engine: Engine, token: str) -> Link | None:
    """Return what an address says; None where it is none, or is of no use any more."""
    try:
        data = decode(engine.sealer.open(token, purpose=_purpose(engine), owner=""))
    except InputError:
        return None
    if not is_object(data) or data["until"] < engine.core.env.now():
        return None
    return Link(data["wait"], Principal(data["owner"], data["tenant"]))


def _purpose(engine: Engine) -> str:
    return f"login page\0{engine.config.agent}"
