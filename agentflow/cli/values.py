"""What is written on a command line becomes JSON: `--set k=v`, `--input k=v`, `@file`, `-`."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentflow.data import is_object, parse
from agentflow.definition.durations import parse_duration
from agentflow.definition.typed_text import read_value, resolve, shortened
from agentflow.errors import InputError
from agentflow.unfit import UnfitError


def usage(what: str, hint: str | None = None) -> InputError:
    """Make the error for a command line that is used wrongly."""
    return InputError(what, code="AF-USAGE", hint=hint)


def assignments(items: Sequence[str], schema: object, option: str) -> dict[str, Any]:
    """Read repeated `key=value` into an object, typed by a schema. `a.b=1` goes one level down, `k=@file` reads a file.

    Raises:
        InputError: one isn't `key=value`, or isn't of the type that the schema asks for.
    """
    result: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals or not key:
            raise usage(f'{option} takes key=value, not "{item}"', f"{option} name=value")
        names = key.split(".")
        part = schema
        for name in names:
            part = property_schema(part, name, schema)
        if text.startswith("@@"):
            text = text[1:]
        elif text.startswith("@"):
            text = read_text(text[1:])
        try:
            value = read_value(text, resolve(part, schema))
        except ValueError as error:
            raise InputError(f"{key}: {error}") from None
        target = result
        for name in names[:-1]:
            target = target.setdefault(name, {})
            if not is_object(target):
                raise usage(f'{option} "{item}" contradicts an earlier one')
        target[names[-1]] = value
    return result


def property_schema(schema: object, name: str, root: object) -> dict[str, Any]:
    """Return the schema of a property; {} where nothing is said of it."""
    found = resolve(schema, root)
    properties = found.get("properties")
    if is_object(properties) and name in properties:
        return resolve(properties[name], root)
    extra = found.get("additionalProperties")
    return resolve(extra, root) if is_object(extra) else {}


def read_text(path: str) -> str:
    """Return the text of a file, or of stdin for `-`.

    Raises:
        InputError: it can't be read.
    """
    name = "stdin" if path == "-" else f'"{path}"'
    try:
        return Path(path).read_text(encoding="utf-8") if path != "-" else _read_stdin()
    except UnicodeDecodeError:
        raise InputError(f"{name} isn't UTF-8 text") from None
    except OSError as error:
        raise InputError(f"can't read {name}: {(error.strerror or 'error').lower()}") from None


def _read_stdin() -> str:
    """Read all of stdin.

    Raises:
        OSError: it is closed.
        UnicodeDecodeError: it isn't UTF-8.
    """
    if sys.stdin is None:  # so it is where a process began without it
        raise OSError(errno.EBADF, "it is closed")
    raw: Any = getattr(sys.stdin, "buffer", None)  # its own decoding may let bytes through that are no text
    return sys.stdin.read() if raw is None else raw.read().decode("utf-8")


def document(text: str, option: str) -> Any:
    """Read a whole JSON value given as text, `@file` or `-` (stdin). A file may be YAML.

    Raises:
        InputError: it can't be read or isn't JSON.
    """
    source = "-" if text == "-" else text.removeprefix("@") if text.startswith("@") else None
    raw = text if source is None else read_text(source)
    if source is not None and Path(source).suffix in (".yaml", ".yml"):
        from agentflow.definition.source import load_document  # noqa: PLC0415  reads YAML with our rules

        return load_document(raw, source).data
    where = f'"{source}"' if source is not None else f'"{shortened(raw)}"'
    try:
        return parse(raw)
    except UnfitError as error:
        raise InputError(f"{option}: {where} holds what can't be kept: {error}") from None
    except ValueError as error:
        hint = f"{option} @file.json, or - for stdin; a text needs its quotes: '\"text\"'"
        raise InputError(f"{option}: {where} isn't JSON", why=str(error), hint=hint) from None


def read_timeout(text: str | None) -> float | None:
    """Read a duration of the command line.

    Raises:
        InputError: it isn't one.
    """
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise usage(str(error), "30s, 5m, 1h 30m") from None


def pairs(items: Sequence[str], option: str) -> dict[str, str]:
    """Read repeated `key=value` as plain texts.

    Raises:
        InputError: one isn't `key=value`.
    """
    found: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise usage(f'{option} takes key=value, not "{item}"')
        found[key] = value
    return found
