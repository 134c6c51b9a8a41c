"""How a run advances: the planner, the host that executes, and the facade that every door calls.

Names are loaded on first use: who only reads runs needs neither planner nor host.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentflow.engine.engine import Engine
    from agentflow.engine.models import Answer, Decline, RetryPart, RetryPlan, Run, ToolFailure, WaitView
    from agentflow.store.rows import Event

__all__ = ("Answer", "Decline", "Engine", "Event", "RetryPart", "RetryPlan", "Run", "ToolFailure", "WaitView")

_HOMES = {"Engine": "agentflow.engine.engine", "Event": "agentflow.store.rows"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES.get(name, "agentflow.engine.models")), name)
    return value
