"""JSON values: the one kind of data that crosses a boundary of the engine."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeGuard

from pydantic_core import from_json, to_json

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A plain JSON value. Integers may have any size; floats are finite."""


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Tell whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Tell whether a JSON value is an array."""
    return isinstance(value, list)


def encode(value: object) -> bytes:
    """Encode a JSON value compactly, as stores keep it.

    Raises:
        ValueError: the value isn't JSON (a lone surrogate, a foreign object).
    """
    try:
        return to_json(value)
    except Exception as error:  # pydantic_core raises its own types as well as UnicodeEncodeError
        raise ValueError(str(error)) from error


def decode(raw: bytes | str) -> Any:
    """Decode what `encode` wrote."""
    return from_json(raw)


def copied(value: Any) -> Any:
    """Return a JSON value for code that may change it: what it came from stays as it is."""
    return decode(encode(value)) if is_object(value) or is_array(value) else value


def normalise(value: object) -> Any:
    """Turn what user code returned into plain JSON data, once, before anybody reads it.

    Tuples and sets become lists, integer keys text, models and dataclasses objects.

    Raises:
        ValueError: something in it has no JSON form: a foreign object, NaN, a lone surrogate, too deep a nesting.
    """
    if value is None or isinstance(value, bool):
        return value
    if type(value) is str and value.isascii():
        return value
    return _finite(decode(encode(value)))


def _finite(value: Any) -> Any:
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError("NaN and infinity have no JSON form")
        if is_object(item):
            stack.extend(item.values())
        elif is_array(item):
            stack.extend(item)
    return value


def canonical(value: object) -> bytes:
    """Encode with sorted keys: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(raw: bytes) -> str:
    """Return a short, collision-safe name of some bytes."""
    return hashlib.blake2b(raw, digest_size=16).hexdigest()
