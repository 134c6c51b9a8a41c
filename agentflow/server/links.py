"""Addresses that are good for whoever holds them: sealed, so that nobody guesses or changes them, and not for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agentflow.data import decode, encode, is_object
from agentflow.engine import Engine
from agentflow.errors import InputError

LASTS: Final = 7 * 24 * 3600.0
"""Seconds for which an address is of use."""


def sealed(engine: Engine, page: str, data: Mapping[str, Any], until: float) -> str:
    """Return the last part of an address.

    Args:
        engine: its sealer seals it, for its agent alone.
        page: which page it leads to; it opens no other.
        data: what it says.
        until: when it is of no use any more.
    """
    return engine.sealer.seal(encode({**data, "until": until}), purpose=_purpose(engine, page), owner="")


def unsealed(engine: Engine, page: str, token: str) -> dict[str, Any] | None:
    """Return what an address says; None where it is none, or is of no use any more."""
    try:
        data = decode(engine.sealer.open(token, purpose=_purpose(engine, page), owner=""))
    except InputError:
        return None
    return data if is_object(data) and data["until"] >= engine.core.env.now() else None


def _purpose(engine: Engine, page: str) -> str:
    return f"{page} page\0{engine.config.agent}"
