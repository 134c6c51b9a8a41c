"""How values look to people: durations, times, ids, one-line results. Pure; nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise

from agentflow.cli.shown import clean, redacted
from agentflow.data import is_object
from agentflow.definition.durations import remaining
from agentflow.definition.times import nearest_date
from agentflow.ids import SHORTEST

_ENDLESS = 1e13
"""Seconds; older versions stored times without end."""
_FEW = 3
"""Fields of a result that are told without the marks of JSON."""
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_ASCII = str.maketrans(
    {
        "✔": "+",
        "✘": "x",
        "✋": "?",
        "●": "*",
        "↻": "~",
        "…": "~",
        "·": "-",
        "›": ">",
        "│": "|",
        **dict.fromkeys("╭╮╰╯├┤┬┴┼", "+"),
        "─": "-",
        "▲": "^",
        "◆": "?",
        "◇": "<",
        "▶": ">",
        "○": "o",
    }
)

GLYPHS: Mapping[str, str] = {
    "submitted": "·",
    "working": "●",
    "input-required": "✋",
    "auth-required": "✋",
    "completed": "✔",
    "failed": "✘",
    "rejected": "✘",
    "canceled": "-",
}
STYLES: Mapping[str, str] = {
    "submitted": "dim",
    "working": "blue",
    "input-required": "yellow",
    "auth-required": "yellow",
    "completed": "green",
    "failed": "red",
    "rejected": "red",
    "canceled": "dim",
}


def to_ascii(text: str) -> str:
    """Replace our glyphs, for terminals without UTF-8."""
    return text.translate(_ASCII)


def duration(seconds: float) -> str:
    """Write a duration in at most two units: `850ms`, `12.4s`, `3m 05s`, `2h 14m`."""
    if seconds < 0.9995:
        return f"{max(seconds, 0.0) * 1000:.0f}ms"
    if seconds < 59.95:
        text = f"{seconds:.1f}"
        return f"{text.removesuffix('.0') if seconds >= 10 else text}s"
    whole = round(min(seconds, _ENDLESS))
    for (size, unit), (below, low) in pairwise(_UNITS):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size}{unit} {rest:02d}{low}" if unit == "m" else f"{whole // size}{unit} {rest}{low}"
    return f"{whole}s"


def elapsed(seconds: float) -> str:
    """Write how long something goes on already, in whole seconds: `0s`, `12s`, `3m 05s`."""
    whole = float(int(max(seconds, 0.0)))
    return duration(whole) if whole >= 10 else f"{whole:.0f}s"


def rough(seconds: float) -> str:
    """Write a duration in one unit, rounded down: `42s`, `2m`, `9h`, `3d`."""
    whole = int(min(max(0.0, seconds), _ENDLESS))
    for size, unit in _UNITS:
        if whole >= size:
            return f"{whole // size}{unit}"
    return "0s"


def ago(then: float, now: float) -> str:
    """Write a time relative to now: `2m ago`, `in 58m`."""
    return f"in {remaining(then - now)}" if then > now + 0.5 else f"{rough(now - then)} ago"


def clock_time(at: float) -> str:
    """Write the local time of day."""
    return nearest_date(at).astimezone().strftime("%H:%M:%S")


def iso(at: float | None) -> str | None:
    """Write a time as ISO 8601 in UTC, as JSON carries it."""
    if at is None:
        return None
    return nearest_date(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def compact(value: object) -> str:
    """Write a JSON value on one line."""
    return json.dumps(value, ensure_ascii=False)


def one_line(value: object, limit: int = 60) -> str:
    """Write a value for a row of a table or tree: text as it is, the rest as JSON, cut to `limit` characters."""
    text = value if isinstance(value, str) else _preview(value, limit)
    return shorten(clean(" ".join(text.split())), limit)


def _preview(value: object, limit: int) -> str:
    """Encode no more than is shown: results may be megabytes."""
    parts: list[str] = []
    size = 0
    for chunk in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        parts.append(chunk)
        size += len(chunk)
        if size > limit * 2:
            break
    return "".join(parts)


def shorten(text: str, limit: int) -> str:
    """Cut a text without its secrets to `limit` characters, the last of them `…`."""
    text = redacted(text)
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def answer_line(answer: object) -> str:
    """Write what a wait was answered with: `approve`, `decision=approve, amount=400`, `declined: too late`."""
    if not is_object(answer):
        return one_line(answer)
    if "decline" in answer:
        reason = answer["decline"]
        return f"declined: {one_line(reason)}" if reason else "declined"
    if "failure" in answer:
        return f"failed: {one_line(answer['failure'])}"
    return value_line(answer.get("value"))


def value_line(value: object) -> str:
    """Write an answer's value; an object of one field is that field's value."""
    if is_object(value):
        if len(value) == 1:
            return one_line(next(iter(value.values())))
        return shorten(", ".join(f"{key}={one_line(item)}" for key, item in value.items()), 60)
    return one_line(value)


def fields_line(value: object) -> str:
    """Write a step's result for who watches: a few plain fields as `total 28, sent 12`, the rest as JSON."""
    if (
        is_object(value)
        and 0 < len(value) <= _FEW
        and all(isinstance(each, str | int | float) for each in value.values())
    ):
        return shorten(", ".join(f"{key} {one_line(each, 40)}" for key, each in value.items()), 60)
    return one_line(value)


def short_ids(ids: list[str]) -> dict[str, str]:
    """Return the shortest endings that tell these ids apart, as a stand-in where no store can be asked."""
    found: dict[str, str] = {}
    for each in ids:
        size = SHORTEST
        while size < len(each) and any(other != each and other.endswith(each[-size:]) for other in ids):
            size += 1
        found[each] = each[-size:]
    return found


def plural(count: int, word: str) -> str:
    """Write a number with its noun: `1 step`, `3 steps`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
