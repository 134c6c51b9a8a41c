"""Whether and when a failed attempt is repeated. Pure."""

from __future__ import annotations

import random

from agentflow.definition.models import RetryPolicy
from agentflow.engine.program import StepProgram
from agentflow.errors import Failure

_NEVER = frozenset({"invalid", "reference", "skill", "wait", "canceled"})
"""Kinds of failures that another attempt can't mend."""
FOREVER = RetryPolicy(max_attempts=1_000_000_000, base=1.0, max=300.0)
"""How `on_error: retry` repeats a step without a policy of its own."""

LONGEST = 3600.0
"""How long another side may ask to wait, in seconds, where the policy has no `max` of its own."""
_NO_OWN_MAX = RetryPolicy().max


def should_retry(program: StepProgram, failure: Failure, tries: int) -> bool:
    """Tell whether a step is tried again after its `tries`-th try failed."""
    if failure.kind in _NEVER or not failure.retryable or program.step.at_most_once:
        return False
    policy = program.retry
    if program.on_error == "retry":
        return policy is None or matches(policy, failure)
    return policy is not None and tries < policy.max_attempts and matches(policy, failure)


def matches(policy: RetryPolicy, failure: Failure) -> bool:
    """Tell whether a policy names this failure, by kind or by code."""
    return not policy.on or "all" in policy.on or failure.kind in policy.on or failure.code in policy.on


def next_delay(program: StepProgram, failure: Failure, tries: int, chance: random.Random) -> float:
    """Return the pause in seconds before the next attempt.

    The time that the other side asked for (`Retry-After`) is a lower bound, as far as the policy allows.
    """
    policy = program.retry or FOREVER
    delay = backoff(policy, tries)
    if policy.jitter:
        delay += policy.jitter * chance.random()
    longest = LONGEST if policy.max == _NO_OWN_MAX else policy.max
    return max(delay, min(failure.retry_after or 0.0, longest))


def backoff(policy: RetryPolicy, tries: int) -> float:
    """Return the pause after the `tries`-th try, jitter apart."""
    if policy.backoff == "fixed":
        factor = 1.0
    elif policy.backoff == "linear":
        factor = float(tries)
    else:
        factor = 2.0 ** min(tries - 1, 64)
    return min(policy.base * factor, policy.max)
