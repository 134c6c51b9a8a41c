"""What a function of the user returned, as the outcome of its step."""

from __future__ import annotations

from typing import Any

from agentflow.errors import StepError
from agentflow.steps.contract import AgentAsks, EventWait, Outcome, Park, Result, Skip, Timer, Wait


def outcome(value: Any) -> Outcome:
    """Return what a step's function returned as the step's outcome; raises StepError where it can't mean a result."""
    if isinstance(value, Wait | Timer | EventWait | AgentAsks):
        raise not_a_result(value, "a step waits", "Park")
    return value if isinstance(value, Result | Skip | Park) else Result(value)


def not_a_result(value: object, what: str, name: str) -> StepError:
    """Return the error of a function that returned what it waits for instead of what makes it wait."""
    inside = "Wait" if isinstance(value, Park | AgentAsks) else type(value).__name__
    said = f"the function returned {type(value).__name__}(…): {what} when {name}({inside}(…)) is returned"
    return StepError(
        said, code="AF-RESULT-INVALID", kind="invalid", retryable=False, hint=f"return {name}({inside}(…))"
    )
