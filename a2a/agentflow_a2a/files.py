"""Files in messages: which fields of a schema they are for, and which workflows take them. Pure.

A file is a part of a message that holds `url`, or `raw` in base64, with `mediaType` and `filename` where it has them.
A field takes one if its schema says `format: file`, or several if its items do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition.models import Workflow
from agentflow.definition.parse import to_data
from agentflow.definition.typed_text import resolve
from agentflow_a2a.refusals import invalid

Json = dict[str, Any]
_KEPT = ("url", "raw", "mediaType", "filename")
_READ = re.compile(
    r"run\.message(?!\.(messageId|contextId|taskId|role|metadata|extensions|referenceTaskIds)\b"
    r"|\.parts\[\d+\]\.(text|data)\b)"
)
"""A reference to the message that may give its files; those to its other fields, its texts and its data don't."""


def file_of(part: Mapping[str, Any], at: str) -> Json:
    """Return a message's part as a file; raises RefusedError."""
    url: Any = part.get("url")
    if url is not None and not str(url).lower().startswith(("https://", "http://")):
        raise invalid(f"{at}.url", "the place of a file begins with https:// or http://")
    return {name: part[name] for name in _KEPT if part.get(name)}


def is_file(schema: object, root: object) -> bool:
    """Tell whether a schema asks for a file."""
    return resolve(schema, root).get("format") == "file"


def _are_files(schema: object, root: object) -> bool:
    return is_file(resolve(schema, root).get("items"), root)


def _fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield the fields that take files, and whether several."""
    properties: Any = resolve(schema).get("properties")
    for name, field in properties.items() if is_object(properties) else ():
        if is_file(field, schema):
            yield name, False
        elif _are_files(field, schema):
            yield name, True


def without_files(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema without the fields that take files: what is left is for texts and data."""
    names = {name for name, _ in _fields(schema)}
    if not names:
        return schema
    whole = resolve(schema)
    kept: Json = {**whole, "properties": {n: field for n, field in whole["properties"].items() if n not in names}}
    required: Any = whole.get("required")
    if is_array(required):
        kept["required"] = [name for name in required if name not in names]
    if "$defs" in schema:
        kept["$defs"] = schema["$defs"]
    return kept


def filled(value: Any, files: Sequence[Json], schema: Mapping[str, Any] | None) -> tuple[Any, int]:
    """Return a value with files in the fields for them that it hasn't itself, and how many files are left."""
    left = list(files)
    if schema is None or not left or not is_object(value):
        return value, len(left)
    given: Json = dict(value)
    for name, several in _fields(schema):
        if name in given or not left:
            continue
        if several:
            given[name], left = left, []
        else:
            given[name] = left.pop(0)
    return given, len(left)


def answer_of(files: Sequence[Json], schema: Mapping[str, Any]) -> Any:
    """Return files as the whole answer to a wait, if its schema asks for that; None: it doesn't."""
    if is_file(schema, schema):
        return files[0] if len(files) == 1 else None
    return list(files) if _are_files(schema, schema) else None


def reads_files(workflow: Workflow) -> bool:
    """Tell whether a workflow's steps read what files the message has that started it."""
    return _READ.search(repr(to_data(workflow))) is not None


def takes_files(workflow: Workflow) -> bool:
    """Tell whether messages that start a workflow may hold files."""
    return any(_fields(workflow.input_schema or {})) or reads_files(workflow)
