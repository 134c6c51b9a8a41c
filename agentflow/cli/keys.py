"""Keys of a terminal become edits of one line. Pure: bytes in, edits out."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Literal

Key = Literal[
    "text", "enter", "break", "back", "delete", "clear", "word", "up", "down", "left", "right", "first", "last",
    "escape", "end", "json",
]  # fmt: skip
"""`break` is the end of a line inside of what is pasted: nobody pressed Enter."""
_CONTROL: dict[str, Key] = {
    "\r": "enter",
    "\n": "enter",
    "\x7f": "back",
    "\x08": "back",
    "\x15": "clear",
    "\x17": "word",
    "\x04": "end",
    "\x18": "json",
    "\t": "down",
    "\x01": "first",
    "\x05": "last",
}
_MOVES: dict[str, Key] = {"A": "up", "B": "down"}
_PLAIN_MOVES: dict[str, Key] = {"C": "right", "D": "left", "H": "first", "F": "last"}
"""Without Ctrl or Alt, which ask for something else."""
_NUMBERED: dict[str, Key] = {"1": "first", "7": "first", "3": "delete", "4": "last", "8": "last"}
_PASTE, _PASTED = "200", "201"


@dataclass(slots=True)
class Keyboard:
    """Decodes what a terminal sends; a sequence may arrive in pieces."""

    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")(errors="replace")
    )
    _pending: str = ""
    _pasting: bool = False

    def feed(self, raw: bytes) -> list[tuple[Key, str]]:
        """Return the keys in some bytes: (kind, text)."""
        text = self._pending + self._decoder.decode(raw)
        self._pending = ""
        keys: list[tuple[Key, str]] = []
        at = 0
        while at < len(text):
            char = text[at]
            if char == "\x1b":
                taken = self._sequence(text, at, keys)
                if taken == 0:
                    self._pending = text[at:]
                    break
                at += taken
                continue
            if self._pasting:
                self._pasted(char, keys)
            elif char in _CONTROL:
                keys.append((_CONTROL[char], ""))
            elif char.isprintable():
                keys.append(("text", char))
            at += 1
        return keys

    def flush(self) -> list[tuple[Key, str]]:
        """Tell that nothing more came for a while: a lone escape is the Esc key."""
        pending, self._pending = self._pending, ""
        return [("escape", "")] if pending else []

    @property
    def waiting(self) -> bool:
        """Whether a sequence has begun that may go on."""
        return bool(self._pending)

    def _sequence(self, text: str, at: int, keys: list[tuple[Key, str]]) -> int:
        rest = text[at + 1 :]
        if rest == "":
            return 0
        if rest[0] not in "[O":
            keys.append(("escape", ""))
            return 1
        for length, char in enumerate(rest[1:], 2):
            if "@" <= char <= "~":
                key = self._meant(rest[1 : length - 1], char)
                if key is not None and not self._pasting:
                    keys.append((key, ""))
                return length + 1
        return 0

    def _pasted(self, char: str, keys: list[tuple[Key, str]]) -> None:
        """Take a character of a pasted text: pieces of a line come as one, to be drawn once."""
        char = " " if char == "\t" else char
        if char in "\r\n":
            keys.append(("break", ""))
        elif char.isprintable() and keys and keys[-1][0] == "text":
            keys[-1] = ("text", keys[-1][1] + char)
        elif char.isprintable():
            keys.append(("text", char))

    def _meant(self, numbers: str, last: str) -> Key | None:
        if last == "~":
            if numbers in (_PASTE, _PASTED):
                self._pasting = numbers == _PASTE
            return _NUMBERED.get(numbers)
        return _MOVES.get(last) or (None if numbers else _PLAIN_MOVES.get(last))


@dataclass(slots=True)
class LineEdit:
    """The text of one line while it is typed, and where in it."""

    text: str = ""
    at: int = field(init=False)
    """The cursor stands before this character."""

    def __post_init__(self) -> None:
        """Stand behind the text."""
        self.at = len(self.text)

    def apply(self, key: Key, char: str) -> Literal["enter", "leave"] | None:
        """Apply a key; tells when the line is done or the person wants to leave."""
        before, after = self.text[: self.at], self.text[self.at :]
        if key == "text":
            self._become(before + char, after)
        elif key == "back":
            self._become(before[:-1], after)
        elif key == "delete":
            self._become(before, after[1:])
        elif key == "clear":
            self._become("", "")
        elif key == "word":
            self._become(before.rstrip().rpartition(" ")[0], after)
        elif key == "enter":
            return "enter"
        elif key == "escape" or (key == "end" and not self.text):
            return "leave"
        else:
            moved = {"left": max(self.at - 1, 0), "right": min(self.at + 1, len(self.text)), "first": 0}
            self.at = len(self.text) if key == "last" else moved.get(key, self.at)
        return None

    def _become(self, before: str, after: str) -> None:
        self.text, self.at = before + after, len(before)
