"""Turns whatever is raised on a step's behalf into its failure: a template, a field, what it does. Pure."""

from __future__ import annotations

import math

from agentflow.definition.durations import UnreadableError
from agentflow.engine.gate import Gate
from agentflow.errors import Failure, StepError
from agentflow.steps.failing import of_user, step_error

_ALWAYS = 1e12
"""Seconds; whatever is longer is kept as this."""


def failure_of(error: BaseException) -> Failure:
    """Turn an exception of the planner's own work (a template, a config) into a failure."""
    if isinstance(error, StepError):
        asked = asked_seconds(error.retry_after)
        return Failure(
            error.code, error.what, error.kind, error.retryable, why=told(error.why, asked), hint=error.hint,
            retry_after=asked, data=error.data,
        )  # fmt: skip
    if isinstance(error, UnreadableError):
        return Failure("AF-FIELD-VALUE", str(error), kind="invalid", retryable=False, hint=error.hint)
    if of_user(error):  # a reducer, a validator, a prompt
        return failure_of(step_error(error))
    return Failure("AF-FIELD-VALUE", str(error) or type(error).__name__, kind="invalid", retryable=False)


def failed_by(gate: Gate, error: BaseException, *, executed: bool = False) -> Failure:
    """Return the failure that anything at all makes of a step, without secrets.

    Args:
        gate: what its texts go through.
        error: what was raised.
        executed: by what the step does, rather than by a template or a field.
    """
    try:
        known = isinstance(error, StepError | ValueError) and not executed
        failure = failure_of(error if known else step_error(error, code="AF-STEP-RAISED"))
        return gate.failure(failure)
    except BaseException:  # so may what an exception is asked for
        message = f"{type(error).__name__}, which can't be told"
        return Failure("AF-STEP-RAISED", message, retryable=False, data={"exception": type(error).__name__})


def asked_seconds(value: object) -> float | None:
    """Return the pause that a step's error asks for, whatever its code wrote there; None if it is no time."""
    try:
        seconds = float(value)  # pyright: ignore[reportArgumentType]  a step may have written anything
    except OverflowError:  # an int of hundreds of digits
        return _ALWAYS
    except (TypeError, ValueError):
        return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _ALWAYS)


def told(why: str | None, asked: float | None) -> str | None:
    """Add to a failure's reason for how long the other side asked to wait."""
    if not asked:
        return why
    text = f"it asks to wait {asked:,.0f} s" if asked >= 1 else f"it asks to wait {asked:g} s"
    return f"{why}; {text}" if why else text
