"""How a run advances: the planner, the host that executes, and the facade that every door calls."""

from agentflow.engine.engine import Engine
from agentflow.engine.models import Answer, Decline, RetryPart, RetryPlan, Run, ToolFailure, WaitView
from agentflow.store.rows import (
    Event,
)

__all__ = ("Answer", "Decline", "Engine", "Event", "RetryPart", "RetryPlan", "Run", "ToolFailure", "WaitView")
