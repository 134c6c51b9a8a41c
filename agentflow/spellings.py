"""How a secret is spelled where it comes back: what is looked for, and in which forms of a text."""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

FEWEST = 4
"""Characters from which on a folded secret, or a line of one, is looked for."""
PIECE = 6
"""Characters of a folded secret by which a text is suspected; fewer aren't known as a piece of one either."""
_SIEVED_CODE = 8
"""Characters of base64 and hexadecimal digits by which a text is suspected."""
_SIEVE_SIZE = 30_000
"""Characters of one regular expression: larger ones leave Rust's fast path."""
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a"}

_HEX = "[0-9A-Fa-f]"
_PEEL = re.compile(
    rf"\\(?:u(?P<high>[dD][89abAB]{_HEX}{{2}})\\u(?P<low>[dD][c-fC-F]{_HEX}{{2}})"
    rf"|(?:u(?P<u>{_HEX}{{4}})|u\{{(?P<braced>{_HEX}{{1,6}})\}}|U(?P<U>{_HEX}{{8}})|x(?P<x>{_HEX}{{2}}))"
    rf"|(?P<octal>[0-3][0-7]{{2}})|(?P<other>.))"
    rf"|%(?P<percent>{_HEX}{{2}})"
    rf"|&(?:\#(?P<decimal>[0-9]{{1,7}})|\#[xX](?P<hex>{_HEX}{{1,6}})|(?P<name>[A-Za-z][A-Za-z0-9]{{1,30}}));",
    re.DOTALL,
)
_SPACES = " \t\r\n\x0b\x0c\xa0"
_FOLD = re.compile(rf"[{_SPACES}+]+|['\"\\]+")
_CUT = re.compile(r"…|\.\.\.")
_SQUEEZE = re.compile(rf"[{_SPACES}]+")

# The same in Rust's dialect, and generous: any escape may stand for, or before, any character.
_LEAD = rf"(?:\\|%(?:25)*{_HEX}{{2}}|&[#0-9A-Za-z;]+;)"
_ESCAPE = rf"(?:{_LEAD}+(?:[uUx]\{{?{_HEX}+\}}?|[0-7]{{3}}|[abfnrtv])?)"
_RUST_SPACES = r" \t\r\n\x0b\x0c\xa0"
_GAP = rf"(?:[{_RUST_SPACES}]|\\+[nrt]?|%0[aAdD])*"


class Layer(NamedTuple):
    """A text made of another one, and where its characters stood there."""

    text: str
    here: Sequence[int] = (0,)
    """Positions in this text at which something was changed…"""
    there: Sequence[int] = (0,)
    """…and those in the text below."""
    below: Layer | None = None

    def begin(self, position: int) -> int:
        """Return where the character at a position begins in the first text."""
        index = bisect_right(self.here, position) - 1
        below = self.there[index] + position - self.here[index]
        return below if self.below is None else self.below.begin(below)

    def end(self, position: int) -> int:
        """Return where the character before a position ends in the first text."""
        index = bisect_left(self.here, position)
        if index < len(self.here) and self.here[index] == position:
            below = self.there[index]
        else:
            below = self.there[index - 1] + position - self.here[index - 1]
        return below if self.below is None else self.below.end(below)


Form: TypeAlias = Literal["plain", "folded", "squeezed"]


class Needle(NamedTuple):
    """One spelling of a secret."""

    name: str
    """The secret's name."""
    form: Form
    """The form of a text in which it is looked for."""
    text: str
    shared_before: bool = False
    """The character before it holds bits of the secret too."""
    shared_after: bool = False
    """The character after it does."""

    def around(self, text: str, start: int, end: int) -> tuple[int, int]:
        """Return what has to go where it was found."""
        if self.shared_before and start and text[start - 1] in _BASE64:
            start -= 1
        if self.shared_after and end < len(text) and text[end] in _BASE64:
            end += 1
        return start, end


def needles(name: str, secret: str) -> Iterator[Needle]:
    """Yield what a secret is looked for as.

    Args:
        name: its name.
        secret: its text, without white space around it.
    """
    lines = [line for part in secret.splitlines() if len(line := part.strip()) >= FEWEST]
    read = dict.fromkeys(read for line in [secret, *lines] for read in _read(line))
    # Some letters get another one, or two, when they are made large, and don't come back when they are made small.
    written = dict.fromkeys(case for text in read for case in (text, text.upper(), text.lower()))
    for form, text in dict.fromkeys(_needle_text(text) for text in written):
        for each in _between_quotes(text) if form == "folded" else (text,):
            yield Needle(name, form, each)
    for raw in dict.fromkeys(_raws(secret)):
        yield Needle(name, "squeezed", raw.hex())
        yield Needle(name, "squeezed", raw.hex().upper())
        yield from _in_base64(name, raw)


def _needle_text(text: str) -> tuple[Form, str]:
    small = folded(Layer(text)).text
    return ("folded", small) if len(small) >= FEWEST else ("plain", text)


def _between_quotes(small: str) -> Iterator[str]:
    """Yield a folded text, and what it is between quotes: with a backslash at its end they are one sign."""
    for head in dict.fromkeys((small[0], small[0].replace("\\", "'"))):
        for tail in dict.fromkeys((small[-1], small[-1].replace("\\", "'"))):
            yield f"{head}{small[1:-1]}{tail}"


def _read(text: str) -> Iterator[str]:
    """Yield what becomes of a text where escapes are taken off: some of its own characters may look like one."""
    layer: Layer | None = Layer(text)
    while layer is not None and len(layer.text) >= FEWEST:
        yield layer.text
        yield _misread(layer.text)
        layer = peeled(layer)


def _misread(text: str) -> str:
    """Return what UTF-8 looks like where its bytes are taken for characters: in escapes, or in a wrong charset."""
    return text.encode("utf-8", "surrogateescape" if text.isprintable() else "replace").decode("latin-1")


def _raws(secret: str) -> Iterator[bytes]:
    """Yield the bytes that a secret is written as before they are encoded."""
    for text in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        yield text.encode("utf-8", "replace")
    yield secret.encode("latin-1", "replace")


def _in_base64(name: str, raw: bytes) -> Iterator[Needle]:
    """Yield the characters of base64 that some bytes surely give, at each of the three places where they may begin."""
    for before in range(3):
        bits = 8 * (before + len(raw))
        whole = base64.b64encode(bytes(before) + raw + bytes(2)).decode()
        text = whole[-(-8 * before // 6) : bits // 6]
        for one in dict.fromkeys([text, text.translate(str.maketrans("+/", "-_"))]):
            yield Needle(name, "squeezed", one, before > 0, bits % 6 > 0)


def folded(layer: Layer) -> Layer:
    """Return a text with small letters, one kind of quote, and single spaces."""
    return _made(layer, _FOLD, _fold, _small)


def squeezed(layer: Layer) -> Layer:
    """Return a text without white space: long codes are broken into lines."""
    return _made(layer, _SQUEEZE, lambda _: "")


def peeled(layer: Layer) -> Layer | None:
    """Return a text with one layer of escapes taken off; None where there is none."""
    made = _made(layer, _PEEL, _unescaped)
    return made if len(made.here) > 1 else None


def pieces(text: str, needle: str) -> Iterator[tuple[int, int]]:
    """Yield where a piece of a needle stands beside a mark of a cut: its beginning before it, its end after it."""
    for match in _CUT.finditer(text):
        start, end = match.span()
        for size in range(min(len(needle) - 1, start), PIECE - 1, -1):
            if text.endswith(needle[:size], 0, start):
                yield start - size, start
                break
        for size in range(min(len(needle) - 1, len(text) - end), PIECE - 1, -1):
            if text.startswith(needle[-size:], end):
                yield end, end + size
                break


def _made(
    layer: Layer,
    pattern: re.Pattern[str],
    change: Callable[[re.Match[str]], str | None],
    rest: Callable[[str], str] = str,
) -> Layer:
    """Replace each match by one character, or by nothing, and remember where everything stood."""
    text, parts, here, there = layer.text, list[str](), [0], [0]
    length = last = 0
    for match in pattern.finditer(text):
        new = change(match)
        if new is None:
            continue
        start, end = match.span()
        parts += [rest(text[last:start]), new]
        length += start - last
        here += [length, length + len(new)]
        there += [start, end]
        length += len(new)
        last = end
    return Layer("".join([*parts, rest(text[last:])]), here, there, layer)


def _fold(match: re.Match[str]) -> str:
    found = match[0]
    if found[0] not in "'\"\\":
        return " "
    return "'" if "'" in found or '"' in found else "\\"


def _small(text: str) -> str:
    small = text.lower()
    if len(small) == len(text):
        return small
    return "".join(one if len(one := char.lower()) == 1 else char for char in text)


def _unescaped(match: re.Match[str]) -> str | None:
    kind, text = match.lastgroup, match[match.lastgroup or 0]
    if kind == "other":
        return _LETTERS.get(text, text)
    if kind == "low":
        return chr(0x10000 + ((int(match["high"], 16) & 0x3FF) << 10) + (int(text, 16) & 0x3FF))
    if kind == "name":
        from html.entities import html5  # noqa: PLC0415  a large table, for few texts

        char = html5.get(f"{text};")
        return char if char is not None and len(char) == 1 else None
    code = int(text, 8 if kind == "octal" else 10 if kind == "decimal" else 16)
    return chr(code) if code <= 0x10FFFF else None


def sieve(wanted: Sequence[Needle]) -> Callable[[str | bytes], bool]:
    """Return what tells quickly that a text, or a value's JSON, surely holds none of the needles.

    Pydantic checks patterns with Rust's regular expressions: one automaton for all of them, in linear time.
    """
    from pydantic_core import SchemaValidator, core_schema  # noqa: PLC0415  commands without secrets don't need it

    groups: list[list[str]] = []
    room = 0
    for pattern in dict.fromkeys(pattern for needle in wanted for pattern in _patterns(needle)):
        if len(pattern) > room:
            groups.append([])
            room = _SIEVE_SIZE
        groups[-1].append(pattern)
        room -= len(pattern)
    tests = [SchemaValidator(core_schema.str_schema(pattern="|".join(group))).isinstance_python for group in groups]

    def suspects(text: str | bytes) -> bool:
        if not text.isascii():  # what isn't UTF-8 would count as no text at all
            text = text.encode("utf-8", "replace") if isinstance(text, str) else text.decode("utf-8", "replace")
        return any(test(text) for test in tests)

    return suspects


def _patterns(needle: Needle) -> Iterator[str]:
    """Yield what its beginning looks like, and its end: a text may have been cut by somebody else."""
    if needle.form == "squeezed":
        yield _GAP.join(_code(char) for char in needle.text[:_SIEVED_CODE])
        return
    text = folded(Layer(needle.text)).text
    yield "".join(_any_case(char) for char in text[:PIECE])
    if len(text) > PIECE:
        yield r"(?:\x{2026}|\.\.\.)[^\x{2026}]*" + "".join(_any_case(char) for char in text[-PIECE:])


def _any_case(char: str) -> str:
    if char == " ":
        return rf"(?:[{_RUST_SPACES}+]|{_ESCAPE})+"
    if char in "'\\":
        return rf"(?:['\"\\]|{_ESCAPE})+"
    either = "".join(_literal(one) for one in dict.fromkeys([char, char.lower(), char.upper()]) if len(one) == 1)
    return rf"(?:{_ESCAPE}*[{either}]|{_ESCAPE})"


def _code(char: str) -> str:
    return _literal(char) if char.isalnum() else rf"(?:{_literal(char)}|{_ESCAPE})"


def _literal(char: str) -> str:
    if char.isalnum() and char.isascii():
        return char
    code = ord(char)
    return rf"\x{{{code:x}}}" if not 0xD800 <= code < 0xE000 else r"\?"
