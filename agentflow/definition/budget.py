"""What a run may use, and what a step is expected to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from agentflow.definition.base import Duration, Model
from agentflow.definition.money import Amount

Count = Annotated[int, Field(ge=0)]
"""A number of something."""


class Budget(Model):
    """What a run may use, with the runs below it; at least one of these."""

    cost: Amount | None = None
    """Money, in the config's currency."""
    tokens: Count | None = None
    """Tokens, of input and output."""
    steps: Count | None = None
    """Attempts of steps that do something."""
    time: Duration | None = None
    """Time in which it doesn't only wait for answers."""

    @model_validator(mode="after")
    def _some(self) -> Budget:
        if self.cost is None and self.tokens is None and self.steps is None and self.time is None:
            raise ValueError("give at least one of cost, tokens, steps and time")
        return self


class Estimate(Model):
    """What an attempt of a step is expected to use."""

    cost: Amount | None = None
    """Money, in the config's currency."""
    tokens: Count | None = None
    """Tokens, of input and output."""
