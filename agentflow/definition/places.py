"""From offsets in a text to lines and columns, and the limits of documents."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Any

from agentflow.data import is_array, is_object
from agentflow.errors import Place

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 100
_BREAK = re.compile(r"\r\n|\n|\r")


def line_starts(text: str) -> list[int]:
    """Return the offset of each line's first character."""
    return [0, *(found.end() for found in _BREAK.finditer(text))]


def spot(file: str, text: str, start: int, end: int, lines: list[int] | None = None) -> Place:
    """Turn two offsets into a place; what goes over the line's end isn't underlined."""
    lines = [] if lines is None else lines
    if not lines:
        lines.extend(line_starts(text))
    line = bisect_right(lines, start) - 1
    following = lines[line + 1] if line + 1 < len(lines) else len(text)
    last = len(text[start : max(start, min(end, following))].rstrip())
    return Place(file, line + 1, start - lines[line] + 1, max(last, 1))


def depth_exceeds(data: Any) -> bool:
    """Tell whether a value is nested deeper than documents may be."""
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH):
        following: list[Any] = []
        for value in level:
            if is_object(value):
                following.extend(value.values())
            elif is_array(value):
                following.extend(value)
        if not following:
            return False
        level = following
    return any(is_object(value) or is_array(value) for value in level)
