"""Full JSONPath in templates: `{$.steps.fetch.items[?(@.ok == true)].id}`, by jsonpath-ng."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, cast

from agentflow.expressions.reference import Reference, Resolve
from agentflow.expressions.view import NULLED, ExpressionError, ReferenceMissing, View

_HEAD = re.compile(r"\$\.([A-Za-z_][A-Za-z0-9_-]*)(?:\.([A-Za-z0-9_-]+)|\[\"([^\"]*)\"\]|\['([^']*)'\])?")
_LONGEST = 1000
_MOST_RESULTS = 100_000


def jsonpath_reference(
    text: str, *, optional: bool, offset: int, length: int, value_path: tuple[str | int, ...]
) -> Reference:
    """Make a reference of a JSONPath.

    Raises:
        ExpressionError: it isn't a JSONPath, or has no bounds.
    """
    place: dict[str, Any] = {"offset": offset, "length": length, "value_path": value_path}
    if len(text) > _LONGEST:
        raise ExpressionError("a JSONPath is longer than 1000 characters", **place)
    if text.count("..") > 1:
        raise ExpressionError("a JSONPath may hold `..` once: more of them take without end", **place)
    head = _HEAD.match(text)
    if head is None:
        raise ExpressionError(
            f'the JSONPath "{text}" must begin with a namespace', hint="such as $.steps.ID or $.input", **place
        )
    namespace = head[1]
    step = next((part for part in head.groups()[1:] if part is not None), None)
    if namespace == "steps" and step is None:
        raise ExpressionError(f'the JSONPath "{text}" must name a step', hint="$.steps.ID", **place)
    try:
        _parse(text)
    except Exception as error:  # the library raises bare Exception
        raise ExpressionError(f'"{text}" is no JSONPath: {error}', **place) from None
    path: tuple[str | int, ...] = (step,) if step is not None else ()
    return Reference(text, namespace, path, offset, length, optional, True, value_path)


@lru_cache(maxsize=1024)
def _parse(text: str) -> Any:
    from jsonpath_ng.ext.parser import parse  # noqa: PLC0415  heavy, and few templates need it

    return cast("Any", parse)(text)


def _definite(text: str) -> bool:
    """Tell whether a path names at most one value."""
    return not re.search(r"\*|\.\.|\?|:|,", text)


def jsonpath_resolver(reference: Reference) -> Resolve:
    """Return what looks a JSONPath up: a definite path gives the value, others the list of values."""
    parsed = _parse(reference.text)
    definite = _definite(reference.text)
    step = reference.step_id

    def find(view: View) -> Any:
        try:
            value = view.step(step) if step is not None else view.get(reference.namespace)
        except KeyError as error:
            if reference.optional or view.optional(reference.namespace, reference.path):
                return None
            why = str(error.args[0]) if error.args else "there is none"
            raise ReferenceMissing(f'"{{{reference.text}}}" has no value: {why}') from None
        if value is NULLED:
            return None if definite else []
        root = {reference.namespace: {step: value} if step is not None else value}
        found = [match.value for match, _ in zip(parsed.find(root), range(_MOST_RESULTS + 1), strict=False)]
        if len(found) > _MOST_RESULTS:
            raise ReferenceMissing(f'"{{{reference.text}}}" finds more than {_MOST_RESULTS:,} values')
        if not definite:
            return found
        if found:
            return found[0]
        if reference.optional or view.optional(reference.namespace, reference.path):
            return None
        raise ReferenceMissing(f'"{{{reference.text}}}" has no value', hint="write `?` before the brace if it may")

    return find
