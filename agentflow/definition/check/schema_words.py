"""Words in a JSON Schema that mean nothing there: misspelt ones, and the short form of inputs, which checks nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from agentflow.data import is_object
from agentflow.definition.short_schema import TYPES, widened
from agentflow.definition.suggest import meant

Fault = tuple[tuple[str | int, ...], str, str | None, str | None]
"""Path, what is wrong, a label, a hint."""

_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "example", "format", "pattern", "comment", "id"}
)
_WORDS = _ANNOTATIONS | frozenset(
    """
    type enum const properties required additionalProperties patternProperties propertyNames minProperties maxProperties
    dependentRequired dependentSchemas dependencies unevaluatedProperties items prefixItems additionalItems contains
    minContains maxContains minItems maxItems uniqueItems unevaluatedItems minLength maxLength minimum maximum
    exclusiveMinimum exclusiveMaximum multipleOf allOf anyOf oneOf not if then else definitions readOnly writeOnly
    deprecated contentEncoding contentMediaType contentSchema nullable discriminator xml externalDocs
    """.split()  # noqa: SIM905  they are many
)


def unknown_words(schemas: Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]) -> Iterator[Fault]:
    """Yield what is wrong with the words of schemas, each given with its path."""
    for path, schema in schemas:
        unknown = [word for word in schema if word not in _WORDS and not word.startswith(("x-", "$"))]
        short = [word for word in unknown if _is_short(schema[word])]
        named = schema.keys() <= _ANNOTATIONS and all(map(_is_type, schema.values()))
        if not unknown and schema and named and schema != {"format": "file"}:
            short = list(schema)  # what is meant as names happens to be words
        for word in short:
            given, _ = widened({name: schema[name] for name in short})
            yield (
                (*path, word),
                f'"{word}" is no word of JSON Schema, so nothing would be checked',
                None,
                f"write {_written(given)}",
            )
        for word in unknown:
            label = meant(word, _WORDS) if word not in short else None
            if label is not None:
                yield (*path, word), f'"{word}" is no word of JSON Schema', label, None


def _is_type(value: object) -> bool:
    return isinstance(value, str) and value.rstrip("?").strip() in TYPES


def _is_short(value: object) -> bool:
    return _is_type(value) or (is_object(value) and _is_type(value.get("type")))


def _written(value: Any) -> str:
    """Write data as YAML in one line."""
    if is_object(value):
        return "{" + ", ".join(f"{name}: {_written(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"  # pyright: ignore[reportUnknownArgumentType]  names
    return value if isinstance(value, str) else json.dumps(value)
