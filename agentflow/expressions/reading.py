"""Reading values along references: closures, made once and called at each evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from agentflow.errors import StepError
from agentflow.expressions.failures import Absent, cut, is_list, is_mapping, missing
from agentflow.expressions.view import NULLED, Dialect, Parts, Path, Reference, View

Read: TypeAlias = Callable[[View], Any]
"""Gives a value, null below NULLED; raises Absent where there is none."""


class Operand(NamedTuple):
    """A reference together with how its value is found."""

    reference: Reference
    read: Read
    inner: tuple[Reference, ...] = ()
    """References inside a JSONPath's filters."""

    @property
    def references(self) -> tuple[Reference, ...]:
        """All that it reads."""
        return (self.reference, *self.inner)


def path_reader(namespace: str, path: Path, dialect: Dialect) -> Read:
    """Return how a plain path is read."""
    if namespace == "steps":
        return _step_reader(str(path[0]), path[1:])
    if namespace == "context" and dialect == "distri" and path:
        return _search_reader(str(path[0]), path[1:])
    return _name_reader(namespace, path)


def _pairs(path: Path) -> tuple[tuple[str, int | None], ...]:
    return tuple((str(part), part if isinstance(part, int) else None) for part in path)


def _step_reader(step_id: str, path: Path) -> Read:
    pairs = _pairs(path)

    def read(view: View) -> Any:
        try:
            value = view.step(step_id)
        except KeyError as error:
            raise Absent(-1, error.args[0] if error.args else None) from None
        if value is NULLED:
            return None
        return _walk(value, pairs, 1) if pairs else value

    return read


def _name_reader(namespace: str, path: Path) -> Read:
    pairs = _pairs(path)

    def read(view: View) -> Any:
        try:
            value = view.get(namespace)
        except KeyError:
            raise Absent(-1, None) from None
        if value is NULLED:
            return None
        if pairs:
            value = _walk(value, pairs, 0)
        return value.plain() if isinstance(value, Parts) else value

    return read


def _search_reader(name: str, path: Path) -> Read:
    pairs = _pairs(path)

    def read(view: View) -> Any:
        try:
            value = view.search(name)
        except KeyError:
            raise Absent(-1, None) from None
        if value is NULLED:
            return None
        return _walk(value, pairs, 1)

    return read


def _walk(value: Any, pairs: tuple[tuple[str, int | None], ...], depth: int) -> Any:
    for text, number in pairs:
        kind = value.__class__
        if kind is dict:
            if text not in value:
                raise Absent(depth, value)
            value = value[text]
        elif kind is list and number is not None and -len(value) <= number < len(value):
            value = value[number]
        elif value is NULLED:
            return None
        else:
            value = _unusual(value, text, number, depth)
        depth += 1
    return None if value is NULLED else value


def _unusual(value: Any, text: str, number: int | None, depth: int) -> Any:
    """Take a part of a value that is neither a plain dict nor a list with that index."""
    if is_mapping(value):
        try:
            return value[text]
        except KeyError:
            raise Absent(depth, value) from None
    if is_list(value) and number is not None and -len(value) <= number < len(value):
        return value[number]
    raise Absent(depth, value)


def declared(view: View, reference: Reference, depth: int) -> bool:
    """Tell whether a missing value may be missing."""
    if reference.optional:
        return True
    path = reference.path
    if view.optional(reference.namespace, path):
        return True
    return 0 <= depth < len(path) - 1 and view.optional(reference.namespace, path[: depth + 1])


def valued(operand: Operand) -> Read:
    """Return how a reference that is a whole value is read: null where it may be missing.

    Raises, when read:
        ReferenceMissing: nobody declared that it may be missing.
    """
    read, reference = operand.read, operand.reference

    def value_of(view: View) -> Any:
        try:
            return read(view)
        except Absent as absent:
            if declared(view, reference, absent.depth):
                return None
            raise missing(reference, absent) from None

    return value_of


def texted(operand: Operand) -> Callable[[View], str]:
    """Return how a reference inside text is read: texts go in raw, the rest as compact JSON, missing ones empty."""
    read, reference = operand.read, operand.reference

    def text_of(view: View) -> str:
        try:
            value = read(view)
        except Absent as absent:
            if declared(view, reference, absent.depth):
                return ""
            raise missing(reference, absent) from None
        if type(value) is str:
            return value
        if value is None:
            return "" if _empty(view, reference) else "null"
        return _to_text(value, reference)

    return text_of


def lenient(operand: Operand) -> Read:
    """Return how a reference in a condition is read: a missing value is null."""
    read = operand.read

    def value_or_null(view: View) -> Any:
        try:
            return read(view)
        except Absent:
            return None

    return value_or_null


def present(operand: Operand) -> Callable[[View], bool]:
    """Return how a condition asks whether there is a value, null included."""
    read = operand.read

    def is_present(view: View) -> bool:
        try:
            read(view)
        except Absent:
            return False
        return True

    return is_present


def _empty(view: View, reference: Reference) -> bool:
    """Tell whether a null is the absence of a value: below a skipped step, or where a schema says optional."""
    if reference.namespace == "steps" and view.step(str(reference.path[0])) is NULLED:
        return True
    return reference.optional or view.optional(reference.namespace, reference.path)


def _to_text(value: Any, reference: Reference) -> str:
    if isinstance(value, str):
        return str(value)
    try:
        if value.__class__ is int:
            return str(value)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
    except (ValueError, TypeError, RecursionError):
        raise StepError(
            f'the value of "{cut(reference.text)}" can\'t be written into a text',
            code="AF-REF-TEXT",
            kind="reference",
            retryable=False,
            hint="let the template be this reference alone, then the value keeps its type",
        ) from None


def _plain(value: Any) -> Any:
    if value is NULLED:
        return None
    if is_mapping(value):
        return dict(value)
    raise TypeError
