"""Durations as people write them: `500ms`, `1h 30m`, `PT5M`, or seconds as a number."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_PART = re.compile(r"\s*(\d+(?:\.\d+)?)(ms|s|m|h|d|w)\s*")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
LONGEST = 94_672_800_000.0
"""Seconds. What begins today and lasts as long ends before the year 9999."""


class UnreadableError(ValueError):
    """A text or number is no duration or no time; its hint says what may have been meant."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        """Make an error."""
        super().__init__(what)
        self.hint = hint


def parse_duration(value: object) -> float:
    """Read a duration.

    Returns:
        Seconds.

    Raises:
        UnreadableError: it isn't a duration, is negative, without end, or counts months or years, whose length varies.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = number(value)
    elif isinstance(value, str):
        seconds = _parse_text(value.strip())
    else:
        raise UnreadableError("a duration is a number of seconds or a text such as 30s, 5m, 1h 30m")
    if seconds < 0:
        raise UnreadableError("a duration can't be negative")
    if not seconds < LONGEST:
        raise UnreadableError("a duration is less than 3,000 years", "is it a time (until, at), or in milliseconds?")
    return seconds


def number(value: float | str) -> float:
    """Return a number as a float; one that is too large for that is infinite."""
    try:
        return float(value)
    except OverflowError:
        return inf if str(value)[0] != "-" else -inf


def _parse_text(text: str) -> float:
    if text.upper().startswith("P"):
        date = text.upper().partition("T")[0]
        if "Y" in date or "M" in date:
            raise UnreadableError("months and years have no fixed length; write days")
        try:
            return _iso().validate_python(text).total_seconds()
        except ValueError:
            raise UnreadableError(f'"{text}" is no ISO 8601 duration') from None
    try:
        return float(text)
    except ValueError:
        pass
    seconds, position = 0.0, 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            raise UnreadableError(f'"{text}" is no duration; write it like 500ms, 30s, 5m, 1h 30m, 2d')
        seconds += float(part[1]) * _SECONDS[part[2]]
        position = part.end()
    if not text:
        raise UnreadableError("an empty text is no duration")
    return seconds


@cache
def _iso() -> TypeAdapter[timedelta]:
    from pydantic import TypeAdapter  # noqa: PLC0415  commands that only show durations don't need it

    return TypeAdapter(timedelta)


def remaining(seconds: float) -> str:
    """Write how long something is still off, to the nearest: `42s`, `59m`, `2h 14m`, `1d 23h`, `2d`."""
    hours, minutes = round(seconds / 3600), round(seconds / 60)
    if hours >= 24:
        return f"{hours // 24}d" + (f" {hours % 24}h" if hours % 24 else "")
    if minutes >= 60:
        return f"{minutes // 60}h" + (f" {minutes % 60}m" if minutes % 60 else "")
    return f"{minutes}m" if seconds >= 59.5 else f"{max(round(seconds), 0)}s"
