"""What an attempt has used so far, told to its run at once: money is spent whatever becomes of the attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agentflow.engine.attempt.ports import Port, Process
from agentflow.engine.exchange import Attempt
from agentflow.errors import StepError
from agentflow.usage import LONGEST_MODEL, NOTHING, UNNAMED, Told, Usage, cost_of, models_data, one_call, tokens_of

_TOKENS = ("input_tokens", "output_tokens", "cached_tokens")
_MOST_MODELS = 64
"""Models that one attempt's usage is told by; that of more goes without a name."""


class Spending:
    """Implements `Notable`: what is told is all that was used until then, so that it may come twice."""

    __slots__ = ("_attempt", "_port", "_queued", "models")

    def __init__(self, port: Port, attempt: Attempt) -> None:
        """Begin with nothing."""
        self._port = port
        self._attempt = attempt
        self._queued = False
        self.models: dict[str, Usage] = {}

    def add(self, model: str, used: Usage) -> None:
        """Add what calls of a model have used."""
        if model not in self.models and len(self.models) >= _MOST_MODELS:
            model = UNNAMED
        self.models[model] = self.models.get(model, NOTHING) + used
        if not self._queued:
            self._queued = True
            self._port.tell(self._attempt, self)

    def flush(self) -> None:
        """Nothing of it waits."""

    def take(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return it."""
        self._queued = False
        return [("step_usage", models_data(self.models))]


def read(process: Process, told: Told) -> tuple[str, Usage]:
    """Return what a step tells of calls, by the model's name.

    Raises:
        StepError: these are no numbers of tokens, or no cost.
    """
    try:
        sent, received, cached = (tokens_of(told.get(each, 0)) for each in _TOKENS)
        calls, cost = tokens_of(told.get("calls", 1)), told.get("cost")
        parts = None if cost is None else cost_of(cost)
        if unknown := told.keys() - Told.__optional_keys__:
            raise ValueError(f'there is no "{min(unknown)}"')
        if cached > sent:
            raise ValueError(f"of {sent} input tokens {cached} can't be from a cache")
        if not calls:
            raise ValueError("usage is of one call at least")
    except ValueError as error:
        raise StepError(
            f"the usage that the step tells can't be counted: {error}", code="AF-TOKENS-INVALID", kind="invalid",
            retryable=False, hint="tokens are whole numbers, a cost is a number or a text such as '0.0125'",
        ) from None  # fmt: skip
    model = process.gate.text(str(told.get("model") or UNNAMED), LONGEST_MODEL)
    used = one_call(process.services.prices.models, model, sent, received, cached, parts)
    return model, replace(used, calls=calls, unpriced=calls if used.unpriced else 0)
