"""Which keys of a value that doesn't fit its schema were meant to be others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition.suggest import nearest

_MOST = 10
"""So many unknown keys are compared with those that there are."""


def misspelt(schema: object, value: object) -> list[str]:
    """Return a sentence for each key that the schema doesn't name and that is near to one it does.

    Args:
        schema: a JSON Schema.
        value: what doesn't fit it.
    """
    found: list[str] = []
    for path, name, free in islice(_unknown(schema, value), _MOST):
        if near := nearest(name, free, 1):
            whole = ".".join([*path, name])
            found.append(f'"{whole}" is none of its keys; did you mean "{".".join([*path, near[0]])}"?')
    return found


def _unknown(schema: object, value: object) -> Iterator[tuple[tuple[str, ...], str, list[str]]]:
    """Yield where an object of the value is, a key of it that isn't named, and the named ones that it hasn't."""
    stack: list[tuple[tuple[str, ...], Any, Any]] = [((), schema, value)]
    while stack:
        path, part, item = stack.pop()
        if not is_object(part):
            continue
        properties = part.get("properties")
        if is_object(item) and is_object(properties):
            free = [name for name in properties if name not in item]
            yield from ((path, name, free) for name in item if name not in properties and free)
            stack += [((*path, name), properties[name], item[name]) for name in item if name in properties]
        elif is_array(item):
            stack += [((*path, str(number)), part.get("items"), one) for number, one in enumerate(item)]
