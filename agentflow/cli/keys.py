"""Keys of a terminal become edits of one line. Pure: bytes in, edits out."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Literal

Key = Literal["text", "enter", "back", "clear", "word", "up", "down", "escape", "end", "json"]
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
}


@dataclass(slots=True)
class Keyboard:
    """Decodes what a terminal sends; a sequence may arrive in pieces."""

    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")(errors="replace")
    )
    _pending: str = ""

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
            if char in _CONTROL:
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
                if char in "AB":
                    keys.append(("up" if char == "A" else "down", ""))
                return length + 1
        return 0


@dataclass(slots=True)
class LineEdit:
    """The text of one line while it is typed."""

    text: str = ""

    def apply(self, key: Key, char: str) -> Literal["enter", "leave"] | None:
        """Apply a key; tells when the line is done or the person wants to leave."""
        if key == "text":
            self.text += char
        elif key == "back":
            self.text = self.text[:-1]
        elif key == "clear":
            self.text = ""
        elif key == "word":
            self.text = self.text.rstrip().rpartition(" ")[0]
        elif key == "enter":
            return "enter"
        elif key == "escape" or (key == "end" and not self.text):
            return "leave"
        return None
