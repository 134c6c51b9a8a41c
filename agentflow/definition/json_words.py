"""The words of JSON Schema, and how they are told from the names of a short form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agentflow.data import is_object
from agentflow.definition.short_schema import TYPES

ANNOTATIONS: Final = frozenset(
    {"title", "description", "default", "examples", "example", "format", "pattern", "comment", "id"}
)
"""Words that are names of fields as well."""
WORDS: Final = ANNOTATIONS | frozenset(
    """
    type enum const properties required additionalProperties patternProperties propertyNames minProperties maxProperties
    dependentRequired dependentSchemas dependencies unevaluatedProperties items prefixItems additionalItems contains
    minContains maxContains minItems maxItems uniqueItems unevaluatedItems minLength maxLength minimum maximum
    exclusiveMinimum exclusiveMaximum multipleOf allOf anyOf oneOf not if then else definitions readOnly writeOnly
    deprecated contentEncoding contentMediaType contentSchema nullable discriminator xml externalDocs
    """.split()  # noqa: SIM905  they are many
)


def is_type(value: object) -> bool:
    """Tell whether a value is a type as short forms write it: `integer`, `string?`."""
    return isinstance(value, str) and value.rstrip("?").strip() in TYPES


def is_short(schema: Mapping[str, Any]) -> bool:
    """Tell whether a mapping that may be a JSON Schema is the short form: names of fields with their types.

    The words of JSON Schema are that; of those that check nothing, a type beside them makes a name.
    """
    return bool(schema) and all(
        (is_type(value) or is_object(value)) if name in ANNOTATIONS else name not in WORDS and not _is_own(name)
        for name, value in schema.items()
    )


def is_other(word: str) -> bool:
    """Tell whether a word is none of JSON Schema's, nor one that others have made for themselves."""
    return word not in WORDS and not _is_own(word)


def _is_own(word: str) -> bool:
    return word.startswith(("x-", "$"))
