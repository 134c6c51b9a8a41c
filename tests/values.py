"""Values that data can hold and values that it can't, for whoever lets values in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any


def nested(levels: int, inner: Any = 1) -> Any:
    """Return lists in lists."""
    for _ in range(levels):
        inner = [inner]
    return inner


def mapped(levels: int, inner: Any = 1) -> Any:
    """Return mappings in mappings."""
    for _ in range(levels):
        inner = {"k": inner}
    return inner


def endless() -> Any:
    """Return a value that holds itself."""
    value: dict[str, Any] = {}
    value["again"] = [value]
    return value


@dataclass
class Record:
    """Holds anything."""

    field: Any


FITS: dict[str, Any] = {
    "null": None,
    "false": False,
    "empty text": "",
    "empty list": [],
    "empty mapping": {},
    "empty key": {"": ""},
    "nul": "a\0b",
    "text of every plane": "aß漢😀\u2028\x7f",
    "words like numbers": ["NaN", "Infinity", "-Infinity", "1e999", "{[", '"'],
    "digits in a text": {"id": "1" * 5000},
    "longest integer": 10**4300 - 1,
    "longest negative integer": [1 - 10**4300],
    "integers beyond 64 bits": [2**63, -(2**63) - 1, 2**64 + 1],
    "largest float": [1.7976931348623157e308, 5e-324, -0.0, 0.1],
    "as deep as may be": nested(100),
    "mappings as deep as may be": mapped(100),
    "deepest and empty": nested(99, []),
    "many brackets": [{"t": "[[[[{{{{" * 50, "n": n, "in": [n]} for n in range(60)],
}
CONVERTED: dict[str, tuple[Any, Any]] = {
    "tuple": ((1, (2,)), [1, [2]]),
    "set": ({1}, [1]),
    "integer keys": ({1: "a", 2: {3: "b"}}, {"1": "a", "2": {"3": "b"}}),
    "record": (Record({"x": (1,)}), {"field": {"x": [1]}}),
    "deepest with a tuple": (nested(98, ((), [])), nested(98, [[], []])),
    "deepest with a tuple around a number": (nested(99, (1,)), nested(100)),
    "date": (date(2026, 1, 2), "2026-01-02"),
}
"""Name → what is given, what is kept."""
UNFIT: dict[str, Any] = {
    "too deep": nested(101),
    "mappings too deep": {"a": [mapped(99)]},
    "too deep and empty": nested(100, ((),)),
    "mappings too deep and empty": mapped(100, {}),
    "deeper than decoders go": nested(220),
    "deeper than encoders go": nested(2000),
    "holds itself": endless(),
    "too many digits": 10**4300,
    "too many digits inside": {"a": [0, -(10**4300)]},
    "not a number": float("nan"),
    "infinity": {"a": {"b": float("inf")}},
    "negative infinity in a record": Record([float("-inf")]),
    "half a character": "\ud800",
    "half a character inside": {"a": ["x\udfff"]},
    "half a character in a key": {"\ud83d": 1},
    "1 and '1'": {1: "a", "1": "b"},
    "true and 'true'": {"a": [{True: 1, "true": 2}]},
    "none and 'null'": {None: 1, "null": 2},
    "1.5 and '1.5' in a record": Record({1.5: 1, "1.5": 2}),
    "foreign": object(),
    "foreign inside": {"a": [1, object()]},
    "foreign in a record": Record(object()),
    "bytes that are no text": {"a": b"\xff"},
    "a key of too many digits": {10**4300: 1},
    "a key that is a set": {frozenset({1}): 1},
}
