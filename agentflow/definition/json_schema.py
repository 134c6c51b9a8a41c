"""Checks values by JSON Schema (2020-12). No schema is ever fetched."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from agentflow.data import canonical

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

_LONGEST = 200
_MANY = 10


def make_validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """Return a validator; the same schema is compiled once.

    Raises:
        ValueError: the schema isn't valid, or names one elsewhere.
    """
    return _compiled(canonical(schema))


@lru_cache(maxsize=512)
def _compiled(raw: bytes) -> Draft202012Validator:
    import json  # noqa: PLC0415  beside its only use

    import jsonschema_rs  # noqa: PLC0415  only schemas need it

    return jsonschema_rs.Draft202012Validator(
        json.loads(raw), validate_formats=True, retriever=_refuse, pattern_options=jsonschema_rs.RegexOptions()
    )


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"remote $ref {uri} is not allowed")


def errors_of(validator: Draft202012Validator, value: Any) -> list[str]:
    """Return what is wrong with a value, outermost first, each as `path: message`; [] if it fits."""
    if validator.is_valid(value):
        return []
    found = sorted(validator.iter_errors(value), key=lambda e: len(e.instance_path))
    texts: list[str] = []
    for error in found[:_MANY]:
        path = ".".join(str(part) for part in error.instance_path)
        message = error.message if len(error.message) <= _LONGEST else error.message[:_LONGEST] + "…"
        texts.append(f"{path}: {message}" if path else message)
    return texts
