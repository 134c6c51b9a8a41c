"""Checks values by JSON Schema (2020-12), and schemas themselves. No schema is ever fetched."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from agentflow.data import canonical
from agentflow.redaction import current

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError

_LONGEST = 200
_MANY = 10
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Fault(NamedTuple):
    """What is wrong with one part of a value, or of a schema."""

    path: tuple[str | int, ...]
    message: str


def make_validator(schema: Mapping[str, Any] | bool) -> Draft202012Validator:
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


def schema_faults(schema: Mapping[str, Any]) -> list[Fault]:
    """Return what is wrong with a schema itself; [] if values can be checked by it."""
    import jsonschema_rs  # noqa: PLC0415  only schemas need it

    found = faults_of(make_validator({"$ref": _DIALECT}), schema)
    if found:
        return found
    try:
        make_validator(schema)
    except jsonschema_rs.ValidationError as error:
        return [Fault(tuple(error.instance_path), error.message)]
    except ValueError as error:
        return [Fault((), str(error))]
    return []


def faults_of(validator: Draft202012Validator, value: Any) -> list[Fault]:
    """Return what is wrong with a value, in the order of the schema; [] if it fits."""
    return [Fault(tuple(error.instance_path), _said(error)) for error in validator.iter_errors(value)]


def _said(error: ValidationError) -> str:
    """Return what is wrong, in words of a user's: whoever writes an answer knows of no schema `false`."""
    return "it may not be given here" if type(error.kind).__name__.endswith("FalseSchema") else error.message


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"remote $ref {uri} is not allowed")


def errors_of(validator: Draft202012Validator, value: Any) -> list[str]:
    """Return what is wrong with a value, outermost first, each as `path: message`; [] if it fits."""
    if validator.is_valid(value):
        return []
    texts: list[str] = []
    for fault in sorted(faults_of(validator, value), key=lambda one: len(one.path))[:_MANY]:
        path = ".".join(str(part) for part in fault.path)
        message = current().head(fault.message, _LONGEST)
        texts.append(f"{path}: {message}" if path else message)
    return texts
