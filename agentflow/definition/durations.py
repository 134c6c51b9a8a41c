"""Durations as people write them: `500ms`, `1h 30m`, `PT5M`, or seconds as a number."""

from __future__ import annotations

import re
from datetime import timedelta

from pydantic import TypeAdapter, ValidationError

_PART = re.compile(r"\s*(\d+(?:\.\d+)?)(ms|s|m|h|d|w)\s*")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_ISO = TypeAdapter(timedelta)


def parse_duration(value: object) -> float:
    """Read a duration.

    Returns:
        Seconds.

    Raises:
        ValueError: it isn't a duration, is negative, or counts months or years, whose length varies.
    """
    if isinstance(value, bool):
        raise ValueError("a duration is a number of seconds or a text such as 30s, 5m, 1h 30m")
    if isinstance(value, int | float):
        seconds = float(value)
    elif isinstance(value, str):
        seconds = _parse_text(value.strip())
    else:
        raise ValueError("a duration is a number of seconds or a text such as 30s, 5m, 1h 30m")
    if not 0 <= seconds < 1e11:
        raise ValueError("a duration is neither negative nor without end")
    return seconds


def _parse_text(text: str) -> float:
    if text.upper().startswith("P"):
        date = text.upper().partition("T")[0]
        if "Y" in date or "M" in date:
            raise ValueError("months and years have no fixed length; write days")
        try:
            return _ISO.validate_python(text).total_seconds()
        except ValidationError:
            raise ValueError(f'"{text}" is no ISO 8601 duration') from None
    try:
        return float(text)
    except ValueError:
        pass
    seconds, position = 0.0, 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            raise ValueError(f'"{text}" is no duration; write it like 500ms, 30s, 5m, 1h 30m, 2d')
        seconds += float(part[1]) * _SECONDS[part[2]]
        position = part.end()
    if not text:
        raise ValueError("an empty text is no duration")
    return seconds
