"""What is written on a command line becomes JSON: `--set k=v`, `--input k=v`, `@file`, `-`."""

from __future__ import annotations

import errno
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentflow.data import is_array, is_object, parse
from agentflow.errors import InputError
from agentflow.unfit import UnfitError

NUMBERS = ("integer", "number")


def usage(what: str, hint: str | None = None) -> InputError:
    """Make the error for a command line that is used wrongly."""
    return InputError(what, code="AF-USAGE", hint=hint)


def resolve(schema: object, root: object = None) -> dict[str, Any]:
    """Follow `$ref` inside the same schema; anything that isn't an object schema is an empty one."""
    root = schema if root is None else root
    for _ in range(20):
        if not is_object(schema):
            return {}
        ref = schema.get("$ref")
        if not isinstance(ref, str) or not ref.startswith("#"):
            return schema
        target: Any = root
        for part in ref[1:].split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if is_object(target) else None
        schema = target
    return {}


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the JSON types that a schema allows, as far as it says so; [] for any."""
    named = schema.get("type")
    if isinstance(named, str):
        return [named]
    if is_array(named):
        return [str(n) for n in named]
    options = list(schema["enum"]) if is_array(schema.get("enum")) else []
    options += [schema["const"]] if "const" in schema else []
    found = dict.fromkeys(type_name(value) for value in options)
    for part in alternatives(schema):
        found.update(dict.fromkeys(types_of(part)))
    return list(found)


def alternatives(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of `oneOf` or `anyOf`."""
    parts = schema.get("oneOf") or schema.get("anyOf")
    return [part for part in parts if is_object(part)] if is_array(parts) else []


def type_name(value: object) -> str:
    """Return the JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if is_array(value) else "object"


def read_value(text: str, schema: Mapping[str, Any]) -> Any:
    """Read a text as the JSON type that a schema asks for; without one, as JSON where it is, else as text.

    Raises:
        ValueError: it isn't of that type; the message says what it should be.
    """
    types = types_of(schema)
    if "boolean" in types and text.strip().lower() in ("true", "yes", "y", "on", "false", "no", "n", "off"):
        return text.strip().lower() in ("true", "yes", "y", "on")
    if any(name in types for name in NUMBERS):
        try:
            return _number(text, whole="number" not in types)
        except ValueError:
            if types in (["integer"], ["number"]):
                raise
    if "null" in types and text.strip() in ("", "null"):
        return None
    if "string" in types:
        return text
    if types == ["boolean"]:
        raise ValueError(f'"{text}" is neither yes nor no')
    if "object" in types or "array" in types:
        try:
            return parse(text)
        except UnfitError:
            raise
        except ValueError as error:
            raise ValueError(f"it must be JSON: {error}") from None
    if types:
        raise ValueError(f'"{text}" is no {" or ".join(types)}')
    return _guess(text)


def _number(text: str, *, whole: bool) -> int | float:
    try:
        return int(text.strip())
    except ValueError:
        pass
    try:
        number = float(text.strip())
    except ValueError:
        raise ValueError(f'"{text}" is no number') from None
    if not math.isfinite(number):
        known = any(char.isdigit() for char in text)
        raise ValueError(f"the number {_short(text)} is out of range" if known else f'"{text}" is no number')
    if whole and not number.is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(number) if whole else number


def _guess(text: str) -> Any:
    """Read JSON where it is; NaN and the like are words."""
    try:
        value = parse(text)
    except ValueError as error:
        if isinstance(error, UnfitError) and any(char in text for char in "[{0123456789"):
            raise
        return text
    return text if isinstance(value, str) else value


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


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
    where = f'"{source}"' if source is not None else f'"{_short(raw)}"'
    try:
        return parse(raw)
    except UnfitError as error:
        raise InputError(f"{option}: {where} holds what can't be kept: {error}") from None
    except ValueError as error:
        hint = f"{option} @file.json, or - for stdin; a text needs its quotes: '\"text\"'"
        raise InputError(f"{option}: {where} isn't JSON", why=str(error), hint=hint) from None
