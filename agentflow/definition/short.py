"""Short forms: `retry: 3`, `requires: native:shell`, `for_each: "{input.files}"`, `input: {url: string}`."""

from __future__ import annotations

from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition.faults import Faults, shown
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
            faults.wrong_type(f'{what} "{name}" of {owner}', "a type or a mapping", given, at, _of_list(given))
            continue
        faults.add(
            "AF-FIELD-VALUE",
            f'{what} "{name}" of {owner} has no known type: "{kind}"',
            at if isinstance(given, str) else join(at, "type"),
            label=_written(kind) or meant(kind, TYPES),
            hint=f"types are {', '.join(TYPES)}; an ending `?` makes it optional",
        )
    return schema


_FORMATS = {"date": "date", "datetime": "date-time", "timestamp": "date-time", "time": "time", "email": "email",
            "mail": "email", "url": "uri", "uri": "uri", "link": "uri", "uuid": "uuid"}  # fmt: skip
_OTHER_WORDS = {"str": "string", "text": "string", "float": "number", "double": "number", "decimal": "number",
                "list": "array", "dict": "object", "map": "object", "json": "any"}  # fmt: skip
_CHOICES = ("enum", "choice", "choices", "select", "options", "option", "dropdown", "literal")


def _written(kind: str) -> str | None:
    """Return how a type is written that others have a word for and JSON Schema hasn't."""
    bare = kind.lower().replace("-", "").replace("_", "")
    if bare in _FORMATS:
        return f"write {{type: string, format: {_FORMATS[bare]}}}"
    if bare in _CHOICES:
        return "write {enum: [one, another]}"
    return f'did you mean "{_OTHER_WORDS[bare]}"?' if bare in _OTHER_WORDS else None


def _of_list(given: Any) -> str | None:
    """Return what a list was meant to be that stands where a type belongs."""
    if not is_array(given) or not given:
        return None
    if len(given) == 1 and given[0] in TYPES:
        return f"a list of such values is {{type: array, items: {{type: {given[0]}}}}}"
    return f"one of several values is {{enum: [{', '.join(shown(one).strip(chr(34)) for one in given[:8])}]}}"


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
