"""What is written on a command line becomes JSON: `--set k=v`, `--input k=v`, `@file`, `-`."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentflow.data import is_array, is_object, parse
from agentflow.definition.durations import parse_duration
from agentflow.definition.typed_text import alternatives, given_as, resolve, shortened, types_of
from agentflow.errors import InputError
from agentflow.unfit import UnfitError


def usage(what: str, hint: str | None = None) -> InputError:
    """Make the error for a command line that is used wrongly."""
    return InputError(what, code="AF-USAGE", hint=hint)


def assignments(items: Sequence[str], schema: object, option: str) -> dict[str, Any]:
    """Read repeated `key=value` into an object, typed by a schema. `a.b=1` goes one level down, `k=@file` reads a file.

    A list is `names=Ana,Bo`, the same key several times, or `rows.0.n=1`, item by item. What isn't of the type that is
    asked for stays as it is: whoever gets it tells, in the same words as at every door.

    Raises:
        InputError: one isn't `key=value`, or is meant as JSON and is none.
    """
    result: dict[str, Any] = {}
    lists = set[tuple[str, ...]]()
    for item in items:
        key, equals, text = item.partition("=")
        if not equals or not key:
            raise usage(f'{option} takes key=value, not "{item}"', f"{option} name=value")
        names = tuple(key.split("."))
        part: object = schema
        for depth, name in enumerate(names):
            if name.isdigit() and _is_list(resolve(part, schema)):
                lists.add(names[:depth])
            part = property_schema(part, name, schema)
        value = _read(key, text, part, schema)
        target = result
        for name in names[:-1]:
            target = target.setdefault(name, {})
            if not is_object(target):
                raise usage(f'{option} "{item}" contradicts an earlier one')
        before = target.get(names[-1])
        target[names[-1]] = [*before, *value] if is_array(before) and is_array(value) else value
    for path in sorted(lists, key=len, reverse=True):
        _to_list(result, path)
    return result


def _read(key: str, text: str, part: object, root: object) -> Any:
    if text.startswith("@@"):
        text = text[1:]
    elif text.startswith("@"):
        text = read_text(text[1:])
    shared = {name: root[name] for name in ("$defs", "definitions") if name in root} if is_object(root) else {}
    try:
        return given_as(text, {**shared, **resolve(part, root)})
    except ValueError as error:
        raise InputError(f"{key}: {error}") from None


def _is_list(schema: dict[str, Any]) -> bool:
    return "array" in types_of(schema) and "object" not in types_of(schema)


def _to_list(result: dict[str, Any], path: tuple[str, ...]) -> None:
    """Make the items of a list, which were given one by one, that list."""
    holder: Any = result
    for name in path[:-1]:
        holder = holder.get(name) if is_object(holder) else None
    items: Any = holder.get(path[-1]) if is_object(holder) else None
    if is_object(items) and all(name.isdigit() for name in items):
        holder[path[-1]] = [items[name] for name in sorted(items, key=int)]


def property_schema(schema: object, name: str, root: object) -> dict[str, Any]:
    """Return the schema of a property, or of an item of a list; {} where nothing is said of it."""
    found = resolve(schema, root)
    for each in (found, *(resolve(part, root) for part in (*alternatives(found), *listed(found.get("allOf"))))):
        properties = each.get("properties")
        if is_object(properties) and name in properties:
            return resolve(properties[name], root)
        if name.isdigit() and is_object(each.get("items")):
            return resolve(each["items"], root)
    extra = found.get("additionalProperties")
    return resolve(extra, root) if is_object(extra) else {}


def listed(value: object) -> list[Any]:
    """Return a list, or an empty one for anything else."""
    return value if is_array(value) else []


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
