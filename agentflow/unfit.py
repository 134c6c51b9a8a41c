"""Why a value can't be kept as data, and where in it: looked for when it is clear that something is wrong."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Final, NamedTuple, cast

MAX_DIGITS: Final = 4300
"""Digits of an integer that Python reads."""
_PARTS = 8
"""Steps of a path that are told; the rest is an ellipsis."""


class UnfitError(ValueError):
    """A value that isn't data: it couldn't be read back as it is."""

    def __init__(self, reason: str, path: str = "", *, large: bool = False) -> None:
        """Make an error.

        Args:
            reason: what is wrong.
            path: where it is in the value, such as `items[3].id`; empty: the value itself, or unknown.
            large: it is only too large.
        """
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason = reason
        self.path = path
        self.large = large


class OutOfRange(NamedTuple):
    """Stands in what was read from a text for a number that no value has."""

    text: str


class _Spot(NamedTuple):
    """A part of a value: what it is, in what it is, and under which key or index."""

    item: Any
    above: _Spot | None
    key: Any
    depth: int


def find_fault(value: object, depth: int) -> UnfitError | None:
    """Return what is wrong first in a value, in the order in which it is written; None: nothing that is known.

    Args:
        value: the value.
        depth: how deep it may be nested.
    """
    stack = [_Spot(value, None, None, 0)]
    while stack:
        spot = stack.pop()
        reason = _reason(spot.item)
        inside = None if reason else _inside(spot.item)
        if inside is not None and spot.depth >= depth:
            reason = _endless(spot) or f"it is nested deeper than {depth} levels"
        if reason:
            return UnfitError(reason, _path(spot))
        stack.extend(_Spot(item, spot, key, spot.depth + 1) for key, item in reversed(inside or ()))
    return None


def _reason(item: Any) -> str | None:
    """Return what is wrong with a part of a value, without what it holds."""
    if isinstance(item, OutOfRange):
        return out_of_range(item.text)
    if isinstance(item, str):
        return None if _unicode(item) else "half of a character pair (a lone surrogate) has no JSON form"
    if isinstance(item, float):
        return None if math.isfinite(item) else f"{item} has no JSON form: NaN and infinity aren't data"
    if isinstance(item, int):
        return None if abs(item) < 10**MAX_DIGITS else f"an integer has more than {MAX_DIGITS:,} digits"
    if isinstance(item, bytes | bytearray):
        return None if _utf8(bytes(item)) else "bytes that aren't UTF-8 text have no JSON form"
    if isinstance(item, Mapping):
        return _keys(cast("Mapping[Any, Any]", item))
    return _foreign(item)


def _foreign(item: Any) -> str | None:
    """Return why an object of another kind has no JSON form; None: it has, or it depends on what it holds."""
    if item is None or isinstance(item, list | tuple | set | frozenset | Enum) or _is_record(item):
        return None
    if isinstance(item, Iterator):
        return None  # looking would use it up
    from pydantic_core import to_json  # noqa: PLC0415  what isn't data is told seldom

    try:
        to_json(item)
    except Exception:  # pydantic_core raises its own types, and whatever the object's own code raises
        return f"{type(item).__name__} has no JSON form{_remedy(item)}"
    return None


def _remedy(item: object) -> str:
    if isinstance(item, Awaitable):
        if isinstance(item, Coroutine):
            item.close()  # Python would warn of it much later, and not say where
        return ": it was never awaited"
    if isinstance(item, AsyncIterator):
        return "; [each async for each in …] has one"
    if callable(getattr(item, "tolist", None)):
        return "; its .tolist() has one"
    return ""


def _is_record(item: object) -> bool:
    return is_dataclass(item) or hasattr(type(item), "model_fields")


def out_of_range(text: str) -> str:
    """Return what is wrong with a number that no value has, as it is written."""
    if text.lstrip("-").isdigit():
        return f"an integer has more than {MAX_DIGITS:,} digits"
    return f"the number {text[:40]} is out of range" if text[-1].isdigit() else f"{text} has no JSON form"


def _unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _keys(item: Mapping[Any, Any]) -> str | None:
    known: dict[str, Any] = {}
    for key in item:
        if isinstance(key, int) and abs(key) >= 10**MAX_DIGITS:
            return f"a key has more than {MAX_DIGITS:,} digits"
        if not isinstance(key, str) and _foreign({key: None}):
            return f"{type(key).__name__} can't be a key"
        for text in _texts(key):
            if not _unicode(text):
                return "a key has half of a character pair (a lone surrogate), which has no JSON form"
            if text in known:
                return f"the keys {known[text]!r} and {key!r} are one as texts, and one of the values would be lost"
        known.update(dict.fromkeys(_texts(key), key))
    return None


def _texts(key: Any) -> tuple[str, ...]:
    """Return what a key may be as a text."""
    if isinstance(key, str):
        return (str.__str__(key),)
    if key is None:
        return ("None", "null")
    if isinstance(key, bool):
        return (str(key).lower(),)
    if isinstance(key, Enum):
        return _texts(key.value)
    if isinstance(key, bytes):
        return (key.decode("utf-8", "replace"),)
    return (",".join(map(str, cast("tuple[Any, ...]", key))) if isinstance(key, tuple) else str(key),)


def _inside(item: Any) -> list[tuple[Any, Any]] | None:
    """Return what a part of a value holds, with keys and indexes; None: it can't hold anything."""
    if isinstance(item, Mapping):
        return list(cast("Mapping[Any, Any]", item).items())
    if isinstance(item, list | tuple | set | frozenset):
        return list(enumerate(cast("Sequence[Any]", item)))
    if isinstance(item, Enum):
        return _inside(item.value)
    return list(getattr(item, "__dict__", {}).items()) if _is_record(item) else None


def _endless(spot: _Spot) -> str | None:
    """Tell when a value holds itself."""
    above: _Spot | None = spot.above
    seen = {id(spot.item)}
    while above is not None:
        if id(above.item) in seen:
            return "it holds itself"
        seen.add(id(above.item))
        above = above.above
    return None


def _path(spot: _Spot) -> str:
    parts: list[str] = []
    at = spot
    while at.above is not None:
        plain = isinstance(at.key, str) and at.key.isidentifier()
        parts.append(f".{at.key}" if plain else f"[{_short(at.key)}]")
        at = at.above
    parts.reverse()
    shown = "".join(parts[:_PARTS]) + ("…" if len(parts) > _PARTS else "")
    return shown.removeprefix(".")


def _short(key: Any) -> str:
    text = ascii(key) if isinstance(key, str) else str(key)
    return text if len(text) <= 60 else text[:59] + "…"
