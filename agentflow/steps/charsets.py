"""Text and JSON of other programs and services, in whatever encoding they come."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any

from agentflow.data import parse

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "mbcs", "oem"})
"""Encodings of Python's own, which a service can't mean."""


def known_charset(name: str | None) -> str | None:
    """Return the name if it is one of a charset that is known, else None: it then counts as not given."""
    if not name:
        return None
    try:
        known = codecs.lookup(name).name.replace("_", "-")
        b"a".decode(name, "replace")  # refuses codecs that aren't of text, such as hex
    except (LookupError, ValueError):
        return None
    return None if known in _NO_CHARSETS else name


def text_of(raw: bytes, charset: str | None = None) -> str:
    """Decode text: by its byte order mark, which is left out, else as its charset says, else as UTF-8.

    Characters that fit none of these are replaced.
    """
    for encoding in _encodings(_marked(raw), charset):
        try:
            return raw.decode(encoding)
        except UnicodeError:
            continue
    return raw.decode(known_charset(charset) or "utf-8", "replace")


def json_of(raw: bytes, charset: str | None = None) -> Any:
    """Read JSON: by its byte order mark or its zero bytes, which tell UTF-16 and UTF-32, else as its charset says.

    Raises:
        ValueError: it isn't JSON.
    """
    found = json.detect_encoding(raw)
    if found == "utf-8" and not known_charset(charset):
        return parse(raw)  # nearly always
    for encoding in _encodings(None if found == "utf-8" else found, charset):
        try:
            text = raw.decode(encoding)
        except UnicodeError:
            continue
        return parse(text)
    return parse(raw)


def _marked(raw: bytes) -> str | None:
    return next((encoding for mark, encoding in _MARKS if raw.startswith(mark)), None)


def _encodings(found: str | None, charset: str | None) -> Iterator[str]:
    declared = known_charset(charset)
    if found is not None:
        yield found
    if declared is not None:
        yield declared
    yield "utf-8"
