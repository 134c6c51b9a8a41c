"""Numbers as JSON has them: the protocol's types know only floats. Pure."""

from __future__ import annotations

from typing import Any

from agentflow.data import is_array, is_object

_EXACT = 2**53
"""Whole numbers up to this one are exact in a float."""


def whole(value: Any) -> Any:
    """Return data with whole numbers as such."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= _EXACT else value
    if is_object(value):
        return {name: whole(each) for name, each in value.items()}
    return [whole(each) for each in value] if is_array(value) else value


def settled(value: Any) -> Any:
    """Return what the protocol's types have held: whole numbers as such, names sorted, as their maps have no order."""
    if is_object(value):
        return {name: settled(value[name]) for name in sorted(value)}
    return [settled(each) for each in value] if is_array(value) else whole(value)
