"""What a client brings back with the next round of a call: sealed, so that it is of use for that call only.

Any process over the same store opens it, and so does one that is started anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from agentflow.data import canonical, parse
from agentflow.engine import Engine
from agentflow.errors import InputError
from agentflow.principal import Principal


class State(NamedTuple):
    """What a call of a workflow's tool has asked."""

    run_id: str
    """The run that it is about."""
    keys: Mapping[str, str]
    """What was asked, by the names that the client was given for it: a name may come again, a key doesn't."""

    @property
    def text(self) -> str:
        """What `read` reads."""
        return canonical({"run": self.run_id, "keys": dict(self.keys)}).decode()


def read(text: str) -> State:
    """Return a state of a text."""
    state: Any = parse(text)
    return State(state["run"], state["keys"])


def seal(engine: Engine, tool: str, arguments: Mapping[str, Any], principal: Principal, text: str) -> str:
    """Return the state of a call that has asked its client's user something."""
    return engine.sealer.seal(text.encode(), purpose=_purpose(engine, tool, arguments), owner=_owner(principal))


def opened(engine: Engine, tool: str, arguments: Mapping[str, Any], principal: Principal, state: str) -> str | None:
    """Return what was sealed; None where it is no state of this call by this principal."""
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
