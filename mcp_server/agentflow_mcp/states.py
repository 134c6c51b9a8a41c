"""What a client brings back with the next round of a call: sealed, so that it is of use for that call only.

Any process over the same store opens it, and so does one that is started anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from agentflow.data import canonical
from agentflow.engine import Engine
from agentflow.errors import InputError
from agentflow.principal import Principal


def seal(engine: Engine, tool: str, arguments: Mapping[str, Any], principal: Principal, run_id: str) -> str:
    """Return the state of a call that has asked its client's user something: the run that it is about."""
    return engine.sealer.seal(run_id.encode(), purpose=_purpose(engine, tool, arguments), owner=_owner(principal))


def opened(engine: Engine, tool: str, arguments: Mapping[str, Any], principal: Principal, state: str) -> str | None:
    """Return the run of a state; None where it is no state of this call by this principal."""
    try:
        data = engine.sealer.open(state, purpose=_purpose(engine, tool, arguments), owner=_owner(principal))
    except InputError:
        return None
    return data.decode()


def _purpose(engine: Engine, tool: str, arguments: Mapping[str, Any]) -> str:
    digest = sha256(canonical(dict(arguments))).hexdigest()
    return f"mcp call\0{engine.config.agent}\0{tool}\0{digest}"


def _owner(principal: Principal) -> str:
    return f"{principal.tenant}\0{principal.owner}"
