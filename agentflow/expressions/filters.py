"""Filters of published events."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from agentflow.errors import StepError
from agentflow.expressions.condition import Condition, compile_condition
from agentflow.expressions.failures import is_list, is_mapping
from agentflow.expressions.view import NamedValues

_NAMES = frozenset({"event"})
_NOTHING = object()


def filter_matches(filter: Any, data: Any) -> bool:  # noqa: A002  the field's name
    """Tell whether an event's data is what a wait asks for. A filter that can't be decided doesn't match.

    Args:
        filter: None or empty: anything; a mapping of values that the data must have, keys dotted or nested; or a
            condition over `event`, which is the data.
        data: the event's data.
    """
    if not filter:
        return True
    if isinstance(filter, str):
        try:
            return _compiled(filter).evaluate(NamedValues({"event": data}, lenient=True))
        except StepError:
            return False
    return is_mapping(filter) and _has(data, filter)


@lru_cache(maxsize=512)
def _compiled(text: str) -> Condition:
    return compile_condition(text, _NAMES)


def _has(data: Any, wanted: Any) -> bool:
    if not is_mapping(wanted):
        return _equal(data, wanted)
    return is_mapping(data) and all(_part(data, str(key), value) for key, value in wanted.items())


def _part(data: Any, key: str, wanted: Any) -> bool:
    value = _dig(data, key)
    if value is _NOTHING:
        return wanted is None
    return _has(value, wanted)


def _dig(data: Any, key: str) -> Any:
    if is_mapping(data) and key in data:
        return data[key]
    value = data
    for part in key.split("."):
        if is_mapping(value) and part in value:
            value = value[part]
        elif is_list(value) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return _NOTHING
    return value


def _equal(left: Any, right: Any) -> bool:
    """Compare as JSON does: true isn't 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if is_list(left) and is_list(right):
        return len(left) == len(right) and all(_equal(a, b) for a, b in zip(left, right, strict=True))
    if is_mapping(left) and is_mapping(right):
        return left.keys() == right.keys() and all(_equal(value, right[key]) for key, value in left.items())
    return bool(left == right)
