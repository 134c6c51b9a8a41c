"""Amounts of money as files write them, and prices of models."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from agentflow.definition.base import Model
from agentflow.usage import cost_of, text_of


def parse_amount(value: object) -> object:
    """Read an amount: a number, or a text such as `0.25`; what a float is written as counts."""
    if isinstance(value, bool | list | dict) or value is None:
        raise ValueError("an amount is a number such as 0.25")
    return text_of(cost_of(value))


Amount = Annotated[
    str,
    BeforeValidator(parse_amount),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}),
]
"""An amount of money, exact; written as a number or a text."""


class PriceEntry(Model):
    """What a million tokens of a model cost."""

    input: Amount
    """Of input."""
    output: Amount
    """Of output."""
    cached: Amount | None = None
    """Of input that is read from a cache; default: as any input."""


Currency = Annotated[str, Field(min_length=1, max_length=12)]
"""Name of a currency."""
