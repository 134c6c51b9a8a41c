"""Words in a JSON Schema that mean nothing there: misspelt ones, and the short form of inputs, which checks nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from agentflow.data import is_object
from agentflow.definition.json_words import ANNOTATIONS, WORDS, is_other, is_type
from agentflow.definition.short_schema import widened
from agentflow.definition.suggest import meant

Fault = tuple[tuple[str | int, ...], str, str | None, str | None]
"""Path, what is wrong, a label, a hint."""
_NO_WORD = "is no word of JSON Schema, so nothing would be checked"


def unknown_words(schemas: Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]) -> Iterator[Fault]:
    """Yield what is wrong with the words of schemas, each given with its path."""
    for path, schema in schemas:
        unknown = [word for word in schema if is_other(word)]
        short = [word for word in unknown if _is_short(schema[word])]
        named = schema.keys() <= ANNOTATIONS and all(map(is_type, schema.values()))
        if not unknown and schema and named and schema != {"format": "file"}:
            short = list(schema)  # what is meant as names happens to be words
        for word in short:
            given, _ = widened({name: schema[name] for name in short})
            yield (*path, word), f'"{word}" {_NO_WORD}', None, f"write {_written(given)}"
        meanings = {word: meant(word, WORDS) for word in unknown if word not in short}
        for word, label in meanings.items():
            if label is not None:
                yield (*path, word), f'"{word}" is no word of JSON Schema', label, None
        if meanings and not short and not any(meanings.values()) and not schema.keys() & (WORDS - ANNOTATIONS):
            word = next(iter(meanings))  # the other words say nothing to check either
            yield (*path, word), f'"{word}" {_NO_WORD}', None, f"{word}: {{type: string}} under `properties`"


def _is_short(value: object) -> bool:
    return is_type(value) or (is_object(value) and is_type(value.get("type")))


def _written(value: Any) -> str:
    """Write data as YAML in one line."""
    if is_object(value):
        return "{" + ", ".join(f"{name}: {_written(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"  # pyright: ignore[reportUnknownArgumentType]  names
    return value if isinstance(value, str) else json.dumps(value)
