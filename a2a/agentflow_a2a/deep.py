"""Data that is deeper than the protocol's types can hold. Pure."""

from __future__ import annotations

import json
from typing import Any

from agentflow.data import is_array, is_object

DEEPEST = 30
"""Levels: a message of protobuf has a hundred at most, and an object needs three of them."""


def shallow(value: Any, levels: int = DEEPEST) -> Any:
    """Return data in which what is deeper stands as its JSON text."""
    if is_object(value):
        if levels:
            return {name: shallow(each, levels - 1) for name, each in value.items()}
    elif is_array(value):
        if levels:
            return [shallow(each, levels - 1) for each in value]
    else:
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
