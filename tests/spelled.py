"""Secrets of many kinds, and the spellings in which they come back."""

from __future__ import annotations

import base64
import html
import json
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

SECRETS = {
    "plain": "sk-ABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789",
    "quotes": "pa\"s's wörd-SECRET",
    "backslashes": "C:\\new\\pa\\ss-word",
    "pin": "4711",
    "symbols": "abc+/=XY&<%41>+/==",
    "astral": "gr😀ss-geheim",
    "lines": "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----",
    "path": "new-token-0042",
    "tab": "left\tright side",
}


def _base64(text: str, before: str = "", after: str = "") -> str:
    return base64.b64encode((before + text + after).encode()).decode()


def _url64(text: str, before: str = "", after: str = "") -> str:
    return base64.urlsafe_b64encode((before + text + after).encode()).decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda s: s,
    "with a line end": lambda s: s + "\r\n",
    "small": str.lower,
    "large": str.upper,
    "quote": quote,
    "quote, all of it": lambda s: quote(s, safe=""),
    "quote, small digits": lambda s: quote(s, safe="").lower(),
    "quote, twice": lambda s: quote(quote(s, safe=""), safe=""),
    "quote_plus": quote_plus,
    "every byte quoted": lambda s: "".join(f"%{byte:02x}" for byte in s.encode()),
    "json": json.dumps,
    "json, not ascii": lambda s: json.dumps(s, ensure_ascii=False),
    "json in json": lambda s: json.dumps(json.dumps(s)),
    "json in json in json": lambda s: json.dumps({"a": json.dumps({"b": json.dumps([s])})}),
    "json with slashes escaped": lambda s: json.dumps(s).replace("/", "\\/"),
    "json for html": lambda s: json.dumps(s).replace("<", "\\u003c").replace("&", "\\u0026").replace("'", "\\u0027"),
    "json, quoted": lambda s: quote(json.dumps({"k": s})),
    "quoted, json": lambda s: json.dumps({"k": quote(s)}),
    "repr": repr,
    "repr of a mapping": lambda s: repr({"k": s}),
    "repr of json": lambda s: repr(json.dumps({"k": s})),
    "repr of bytes": lambda s: repr(s.encode()),
    "ascii": ascii,
    "repr of repr": lambda s: repr(repr(s)),
    "unicode escapes": lambda s: s.encode("unicode_escape").decode(),
    "hexadecimal escapes": lambda s: "".join(f"\\x{byte:02x}" for byte in s.encode()),
    "octal escapes": lambda s: "".join(f"\\{byte:03o}" for byte in s.encode()),
    "shell": shlex.quote,
    "shell, single quotes": lambda s: "'" + s.replace("'", "'\\''") + "'",
    "shell, backslashes": lambda s: "".join(c if c.isalnum() else "\\" + c for c in s),
    "sql": lambda s: "'" + s.replace("'", "''") + "'",
    "csv": lambda s: '"' + s.replace('"', '""') + '"',
    "html": html.escape,
    "html, quotes as numbers": lambda s: html.escape(s).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "html, every character": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "html of json": lambda s: html.escape(json.dumps(s)),
    "html, twice": lambda s: html.escape(html.escape(s)),
    "base64": _base64,
    "base64, one byte before": lambda s: _base64(s, "u", "!"),
    "base64, two bytes before": lambda s: _base64(s, "u:", "!"),
    "base64, three bytes before": lambda s: _base64(s, "us:", "!!"),
    "basic authorization": lambda s: f"Basic {_base64(s, 'user:')}",
    "base64 of json": lambda s: _base64(json.dumps({"k": s})),
    "base64 in lines": lambda s: base64.encodebytes(("x" * 70 + s).encode()).decode(),
    "base64, quoted": lambda s: quote(_base64(s, "u"), safe=""),
    "urlsafe base64": _url64,
    "urlsafe base64 without padding": lambda s: _url64(s, "u:").rstrip("="),
    "hexadecimal": lambda s: s.encode().hex(),
    "hexadecimal, large": lambda s: s.encode().hex().upper(),
    "hexadecimal, in pairs": lambda s: s.encode().hex(" "),
    "utf-8 read as latin-1": lambda s: s.encode().decode("latin-1"),
}


def spelled(text: str) -> list[str]:
    """Return all spellings of a text, each with its name."""
    return [f"{name}: {spell(text)}." for name, spell in SPELLINGS.items()]


def leaks(text: str, secret: str) -> list[str]:
    """Return the names of the spellings of a secret that a text holds."""
    small = text.lower()
    forms = {name: spell(secret).strip() for name, spell in SPELLINGS.items()}
    return [
        name
        for name, form in forms.items()
        if form.lower() in small or SPELLINGS["json, not ascii"](form)[1:-1].lower() in small
    ]
