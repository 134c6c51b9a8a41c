"""The tree of positions beside a document's data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

_BREAK = re.compile(r"\r\n|\n|\r")
_ESCAPES = {"x": 2, "u": 4, "U": 8}


class Found(NamedTuple):
    """A node, its key's node, and whether the whole pointer led to it."""

    node: Node
    key: Node | None
    exact: bool


@dataclass(slots=True)
class Node:
    """Where one value stands: offsets into the text."""

    start: int
    end: int
    style: str = ""
    """How a text is written: plain, `'`, `"`, `|`, `>`, or `json`."""
    value: Any = None
    """A scalar's value."""
    children: dict[str, tuple[Node | None, Node]] | None = None
    """A container's entries: key, or index as text → (the key's node, the value's)."""

    def find(self, path: Sequence[str]) -> Found:
        """Follow the keys of a pointer as far as they lead."""
        node, key = self, None
        for part in path:
            entry = node.children.get(part) if node.children else None
            if entry is None:
                return Found(node, key, False)
            key, node = entry
        return Found(node, key, True)

    def shown_end(self, text: str) -> int:
        """Return the end of what a caret underlines: of a container its first entry, or all of it when it is short."""
        if not self.children or text[self.start : self.start + 1] in ("[", "{"):
            return self.end
        return next(iter(self.children.values()))[1].end


def locate_offset(text: str, node: Node, value: str, offset: int) -> int:
    """Return where the character at `offset` of a text value stands in the source.

    The value and the source are walked side by side: escapes count as one character, and line folding or indentation
    is skipped on whichever side has more white space.
    """
    position = node.start
    if node.style in ("|", ">"):
        header = _BREAK.search(text, position)
        position = header.end() if header else position
    elif node.style:
        position += 1
    index = 0
    while index < len(value) and position < node.end:
        written, width = _source_char(text, position, node.style)
        if written == value[index]:
            if index >= offset:
                return position
            index += 1
            position += width
        elif written.isspace() and width == 1:
            position += 1
        elif value[index].isspace():
            if index >= offset:
                return position
            index += 1
        else:
            position += width
    return min(position, max(node.end - 1, node.start))


def _source_char(text: str, position: int, style: str) -> tuple[str, int]:
    """Return the character written at a position, and how much of the source it takes."""
    char = text[position]
    if style == "'" and char == "'":
        return "'", 2
    if style not in ('"', "json") or char != "\\":
        return char, 1
    letter = text[position + 1 : position + 2]
    if letter in _ESCAPES:
        digits = text[position + 2 : position + 2 + _ESCAPES[letter]]
        pair = text[position + 6 : position + 8] == "\\u" and digits[:2].lower() in ("d8", "d9", "da", "db")
        if pair:
            both = bytes.fromhex(digits + text[position + 8 : position + 12])
            return both.decode("utf-16-be", "replace"), 12
        return _code_point(digits), 2 + len(digits)
    return {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}.get(letter, letter), 2


def _code_point(digits: str) -> str:
    try:
        return chr(int(digits, 16))
    except ValueError:
        return "\ufffd"
