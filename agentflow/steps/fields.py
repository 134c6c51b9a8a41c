"""Kinds of fields that several step types have."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from agentflow.data import encode
from agentflow.definition.times import parse_time


def as_text(value: Any) -> str:
    """Write a value as templates write it inside text: strings as they are, null as nothing, the rest as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else encode(value).decode()


def _check_base64(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f"it isn't base64: {error}") from None
    return value


Text = Annotated[str, BeforeValidator(as_text)]
"""Text; a template that gives something else is written as JSON."""
Name = Annotated[str, Field(min_length=1), BeforeValidator(as_text)]
"""Text that isn't empty."""
Time = Annotated[float, BeforeValidator(parse_time)]
"""A point in time, ISO 8601, or seconds or milliseconds since the epoch."""
Base64 = Annotated[str, AfterValidator(_check_base64)]
"""Bytes, written in base64."""
