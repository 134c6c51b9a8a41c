"""A problem as people read it: code, sentence, the line of the file with a caret below, hint."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from agentflow.errors import Problem

_WIDEST = 140
_TAB = "    "


def render_problem(problem: Problem, documents: Mapping[str, str]) -> str:
    """Write a problem with an excerpt of its file, as plain text.

    Args:
        problem: what is wrong.
        documents: file name → text; a file that isn't there gives no excerpt.
    """
    lines = [f"{problem.severity}[{problem.code}]: {_clean(problem.message)}"]
    place = problem.place
    if place is None:
        if problem.label:
            lines.append(f"  {_clean(problem.label)}")
        if problem.hint:
            lines.append(f"  hint: {_clean(problem.hint)}")
        return "\n".join(lines)
    number = str(place.line)
    margin = " " * len(number)
    lines.append(f"{margin}--> {_clean(place.file)}:{place.line}:{place.column}")
    source = _line(documents.get(place.file), place.line)
    if source is not None:
        shown, before, width = _excerpt(source, place.column - 1, place.length)
        label = f" {_clean(problem.label)}" if problem.label else ""
        lines.append(f"{margin} |")
        lines.append(f"{number} | {shown}".rstrip())
        lines.append(f"{margin} | {' ' * before}{'^' * width}{label}")
    elif problem.label:
        lines.append(f"{margin} = {_clean(problem.label)}")
    if problem.hint:
        lines.append(f"{margin} = hint: {_clean(problem.hint)}")
    return "\n".join(lines)


def render_problems(problems: Sequence[Problem], documents: Mapping[str, str]) -> str:
    """Write several problems, an empty line between them."""
    return "\n\n".join(render_problem(problem, documents) for problem in problems)


def _line(text: str | None, number: int) -> str | None:
    if text is None:
        return None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[number - 1] if 0 < number <= len(lines) else None


def _excerpt(source: str, start: int, length: int) -> tuple[str, int, int]:
    """Return the line to show, how far its caret is indented, and how wide it is."""
    start = min(start, len(source))
    length = max(1, min(length, max(len(source) - start, 1)))
    head, marked, tail = source[:start], source[start : start + length], source[start + length :]
    if _columns(head) > _WIDEST - 40:
        head = "…" + head[-60:]
    if _columns(marked) > _WIDEST:
        marked, tail = marked[: _WIDEST // 2] + "…", ""
    room = max(_WIDEST - _columns(head) - _columns(marked), 0)
    if _columns(tail) > room:
        tail = tail[:room] + "…"
    return _shown(head) + _shown(marked) + _shown(tail), _columns(head), max(_columns(marked), 1)


def _shown(text: str) -> str:
    """Replace tabs, and what a terminal would obey."""
    return "".join(_TAB if c == "\t" else c if c.isprintable() else "\ufffd" for c in text)


def _columns(text: str) -> int:
    """Return how many columns a terminal needs for a text."""
    if text.isascii() and "\t" not in text:
        return len(text)
    width = 0
    for char in _shown(text):
        if unicodedata.combining(char):
            continue
        width += 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
    return width


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
