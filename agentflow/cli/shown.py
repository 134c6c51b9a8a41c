"""What of a text people may be shown. Texts come from outside; only what `made` makes can move a cursor or add colour.

Every text goes through `render` on its way to a stream. What would steer a terminal, turn the text around or hide a
part of it is written as its escape (`\\x1b`, `\\u202e`); what this program makes itself stands in a frame that no text
can imitate.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from agentflow.redaction import NOTHING, Redactor, use

_STEERS = "\x00-\x1f\x7f-\x9f"
_TURNS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_BREAKS = "\u2028\u2029\ud800-\udfff"
_HIDES = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
_NO_CHARACTERS = "\ufdd0-\ufdef" + "".join(
    chr(plane * 0x10000 + low) for plane in range(17) for low in (0xFFFE, 0xFFFF)
)
_SCRIPTS = "\u0590-\u1dff\u2070-\ufdcf\ufdf0-\ufdff\ufe20-\uffef\U00010000-\U000dffff"
"""Scripts and pictures in which a joiner or a variation selector says how a character looks."""
_JOINS, _VARIES = "\u200c\u200d", "\ufe00-\ufe0f\U000e0100-\U000e01ef"


@cache
def _unsafe() -> re.Pattern[str]:
    """Return what finds all that isn't to be seen; made when a text isn't plain ASCII: that takes some milliseconds."""
    return re.compile(
        f"[{_STEERS}{_TURNS}{_BREAKS}{_HIDES}{_NO_CHARACTERS}]"
        f"|(?<![{_SCRIPTS}\ufe0f])[{_JOINS}]|[{_JOINS}](?![{_SCRIPTS}])"
        f"|(?<![{_SCRIPTS}0-9#*\xa9\xae\u203c\u2049])[{_VARIES}]"
    )


_TAB = "    "
_STYLES = re.compile(r"\x1b\[[0-9;:]*m")
_FRAME = f"\x1b{os.urandom(16).hex()}"
_MADE = re.compile(f"{_FRAME}<([^>]*)>")
_redactor: Redactor = NOTHING


def clean(text: str) -> str:
    """Return a text of one line that can do nothing but be read: what isn't to be seen becomes its escape."""
    if text.isascii() and text.isprintable():
        return text
    return _unsafe().sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    return _TAB if char == "\t" else char.encode("unicode_escape").decode()


def redact_by(redactor: Redactor) -> None:
    """Set what takes the secrets of the config out of every text that this process shows."""
    global _redactor  # noqa: PLW0603  one command, one config, one screen
    _redactor = redactor
    use(redactor)


def redacted(text: str) -> str:
    """Take secrets out of a text. Who cuts a text does this first: half a secret isn't found any more."""
    return _redactor.text(text)


def redacted_data(value: Any) -> Any:
    """Take secrets out of what an error says as JSON."""
    return _redactor.value(value)


def cleaned_lines(text: str) -> list[str]:
    """Return the lines of a text, each of them clean."""
    return [clean(line) for line in re.split(r"\r\n|\n|\r", text)]


def without_styles(text: str) -> str:
    """Take out the colours that other programs put in; what else they put in stays, to be cleaned."""
    return _STYLES.sub("", text)


def made(sequence: str) -> str:
    """Return a control sequence of ours (colour, movement, line break, tab), framed so that `render` lets it pass."""
    return f"{_FRAME}<{sequence}>"


def render(text: str, fit: Callable[[str], str] = str) -> str:
    """Return what a stream gets of a text: without secrets, cleaned, and with what we made in it.

    Args:
        text: from anywhere, with what `made` has framed.
        fit: what becomes of the texts between the frames then.
    """
    if _FRAME not in text:
        return fit(clean(_redactor.text(text)))
    parts = _MADE.split(text)
    parts[::2] = [fit(clean(_redactor.text(part))) for part in parts[::2]]
    return "".join(parts)


def bare(text: str) -> str:
    """Return a text without what we made in it."""
    return _MADE.sub("", text)


def safe_json(text: str) -> str:
    """Escape in a JSON document what a terminal shouldn't get; the document means the same."""
    return text if text.isascii() and "\x7f" not in text else _unsafe().sub(_json_escape, text)


def _json_escape(found: re.Match[str]) -> str:
    char = found[0]
    if char in "\n\t":  # between the values: inside them JSON has escaped it
        return char
    code = ord(char)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
