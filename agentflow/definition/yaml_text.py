r"""What YAML's parser would read wrongly, replaced by stand-ins of the same length and put back into what it read.

The parser is one of YAML 1.1: it takes U+0085, U+2028 and U+2029 for line ends, and doesn't know the pairs
`\ud83d\ude00` by which JSON writes characters beyond U+FFFF. YAML 1.2, which has JSON inside, is otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_ODD = re.compile(r"\\u[dD][89a-fA-F]|[\u0085\u2028\u2029]")
_BREAKS = "\u0085\u2028\u2029"
_HALF = re.compile(r"\\(?:u([dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)
_BASES = (0xE000, 0xE800, 0xF000)
"""Where half pairs may go: 2,048 private characters each."""
_FIRST_HALF = 0xD800

Restore = Callable[[str, bool], str]
"""Puts back what stood in a value; the second argument tells whether it is in double quotes. Raises ValueError."""


def readable(text: str) -> tuple[str, Restore | None]:
    """Return a text that the parser reads rightly, and what undoes that in its values; None: nothing to undo."""
    if _ODD.search(text) is None:
        return text, None
    lowered = text.lower()
    base = next((one for one in _BASES if not _uses(lowered, one)), None)
    if base is None:  # nobody writes text of private characters from everywhere
        return text, None
    breaks = _unused(lowered, len(_BREAKS))
    there = str.maketrans(_BREAKS, breaks)
    back = str.maketrans(breaks, _BREAKS)
    shift = base - _FIRST_HALF

    def moved(found: re.Match[str]) -> str:
        return f"\\u{int(found[1], 16) + shift:04x}" if found[1] else found[0]

    written = re.compile(rf"\\u({base >> 12:x}[0-9a-f]{{3}})")
    halves = re.compile(f"[{chr(base)}-{chr(base + 0x7FF)}]+")

    def joined(found: re.Match[str]) -> str:
        units = b"".join((ord(char) - shift).to_bytes(2, "big") for char in found[0])
        return units.decode("utf-16-be")

    def restore(value: str, quoted: bool) -> str:
        value = value.translate(back)
        if quoted:
            return halves.sub(joined, value)
        return written.sub(lambda found: f"\\u{int(found[1], 16) - shift:04x}", value)

    return _HALF.sub(moved, text).translate(there), restore


def half_pair(text: str, start: int, end: int) -> int:
    """Return where in a quoted text half of a pair stands."""
    expected = False
    at = start
    for found in _HALF.finditer(text, start, end):
        low = found[1] is not None and found[1][1] in "cdefCDEF"
        if expected and not (low and found.start() == at + 6):
            return at
        if found[1] is not None and not expected and low:
            return found.start()
        expected = found[1] is not None and not low
        at = found.start()
    return at


def _uses(lowered: str, base: int) -> bool:
    """Tell whether a text holds private characters of a range, or escapes of them."""
    if re.search(f"[{chr(base)}-{chr(base + 0x7FF)}]", lowered) is not None:
        return True
    return any(f"\\u{number >> 8:02x}" in lowered for number in range(base, base + 0x800, 0x100))


def _unused(lowered: str, count: int) -> str:
    found: list[str] = []
    number = 0x10FFFD
    while len(found) < count:
        if chr(number) not in lowered and f"{number:08x}" not in lowered:
            found.append(chr(number))
        number -= 1
    return "".join(found)
