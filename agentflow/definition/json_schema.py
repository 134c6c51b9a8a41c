"""Checks values by JSON Schema (2020-12), and schemas themselves. No schema is ever fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from agentflow.data import canonical
from agentflow.definition.format_samples import FORMATS
from agentflow.redaction import current

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError

_LONGEST = 200
_MANY = 10
_SECRET = (b'"format":"password"', b'"writeOnly":true')
"""Where a schema has a field that is never shown, what is wrong is told without any value."""
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

    hidden = any(mark in raw for mark in _SECRET)
    return jsonschema_rs.Draft202012Validator(
        json.loads(raw),
        validate_formats=True,
        retriever=_refuse,
        pattern_options=jsonschema_rs.RegexOptions(),
        mask="it" if hidden else None,
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
    return [fault for error in validator.iter_errors(value) for fault in _faults(error)]


def _faults(error: ValidationError) -> Iterator[Fault]:
    """Yield what is wrong: of several alternatives by the only one that can be meant, where there is one."""
    context: list[list[ValidationError]] = getattr(error.kind, "context", None) or []
    meant = [branch for branch in context if not any(_is_another(each, error) for each in branch)]
    if len(meant) != 1 or len(context) < 2:
        yield Fault(tuple(error.instance_path), _said(error))
        return
    for each in meant[0]:
        yield from _faults(each)


def _is_another(error: ValidationError, above: ValidationError) -> bool:
    """Tell whether an alternative isn't meant: the value is of another type, or its tag says another one."""
    kind, deeper = type(error.kind).__name__, len(error.instance_path) - len(above.instance_path)
    return (kind.endswith("Type") and deeper == 0) or (kind.endswith(("Constant", "Enum")) and deeper <= 1)


def _said(error: ValidationError) -> str:
    """Return what is wrong, in a user's words: whoever writes an answer knows of no schema `false`, nor of `oneOf`."""
    if type(error.kind).__name__.endswith("FalseSchema"):
        return "it may not be given here"
    context: list[list[ValidationError]] = getattr(error.kind, "context", None) or []
    if not context:
        sample = FORMATS.get(str(getattr(error.kind, "format", None)))
        return f"{error.message}, such as {sample}" if sample is not None else error.message
    given = error.message.rpartition(" is not valid under ")[0]
    allowed = [_allowed(branch, error) for branch in context]
    if given and all(allowed):
        return f"{given} is not one of {', '.join(filter(None, allowed[:-1]))} or {allowed[-1]}"
    return f"{given} is nothing of what may be given here" if given else error.message


def _allowed(branch: list[ValidationError], above: ValidationError) -> str | None:
    """Return the only value that an alternative allows, as JSON; None where there are others."""
    if len(branch) != 1 or len(branch[0].instance_path) != len(above.instance_path):
        return None
    if type(branch[0].kind).__name__.endswith("Type") and branch[0].message.endswith(' is not of type "null"'):
        return "null"
    end = " was expected"
    return branch[0].message.removesuffix(end) if branch[0].message.endswith(end) else None


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
