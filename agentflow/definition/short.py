"""Short forms: `retry: 3`, `requires: native:shell`, `for_each: "{input.files}"`, `input: {url: string}`."""

from __future__ import annotations

from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition.faults import Faults
from agentflow.definition.pointers import join
from agentflow.definition.short_schema import TYPES, is_whole_schema, widened
from agentflow.definition.suggest import meant

__all__ = ["for_each", "input_schema", "is_whole_schema", "requires", "retry"]


def retry(value: Any) -> Any:
    """Widen `retry: 3` (attempts), `retry: true` (the defaults) and `retry: false` (one attempt)."""
    if value is True:
        return {}
    if value is False:
        return {"max_attempts": 1}
    return {"max_attempts": value} if isinstance(value, int) else value


def requires(value: Any) -> Any:
    """Widen one requirement to a list, and names to mappings."""
    several: list[Any] = value if is_array(value) else [value] if isinstance(value, str) or is_object(value) else []
    if not several and not is_array(value):
        return value
    return [{"skill": one} if isinstance(one, str) else one for one in several]


def for_each(value: Any) -> Any:
    """Widen a template or a list to the mapping."""
    return {"in": value} if isinstance(value, str) or is_array(value) else value


def input_schema(
    value: dict[str, Any], faults: Faults, pointer: str, owner: str, what: str = "input"
) -> dict[str, Any]:
    """Turn `{url: string, count: {type: integer, default: 3}}` into a JSON Schema, and report what isn't understood."""
    schema, misread = widened(value)
    for name, kind in misread:
        at, given = join(pointer, name), value[name]
        if kind is None:
            faults.wrong_type(f'{what} "{name}" of {owner}', "a type or a mapping", given, at)
            continue
        faults.add(
            "AF-FIELD-VALUE",
            f'{what} "{name}" of {owner} has no known type: "{kind}"',
            at if isinstance(given, str) else join(at, "type"),
            label=meant(kind, TYPES),
            hint=f"types are {', '.join(TYPES)}; an ending `?` makes it optional",
        )
    return schema


def moved(value: dict[str, Any], field: str, pointer: str) -> dict[str, str]:
    """Return where the parts of a schema that a short form became stand.

    Args:
        value: the short form.
        field: path of the schema.
        pointer: of the short form.
    """
    types = {
        f"{field}/properties/{name}/type": join(pointer, name) for name, one in value.items() if not is_object(one)
    }
    return {field: pointer, f"{field}/properties": pointer, f"{field}/required": pointer, **types}
