"""Examples of values that a schema surely accepts, for commands that are printed to be pasted. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from agentflow.cli.shown import clean, safe_json
from agentflow.cli.values import assignments
from agentflow.data import is_array, is_object
from agentflow.definition.samples import candidates, fits, needed, samples
from agentflow.definition.typed_text import resolve
from agentflow.errors import InputError
from agentflow.steps.unset import UNSET

PLACEHOLDER = "<JSON>"
"""What a command says where no example can be found."""


def example(schema: object) -> Any:
    """Return a value that a schema accepts; UNSET where none is found."""
    return next(samples(schema), UNSET)


def sketch(schema: object) -> Any:
    """Return an example, or where there is none something to begin with."""
    found = example(schema)
    return next(candidates(schema, schema, 0), None) if found is UNSET else found


def answer_command(wait: str, schema: object, default: Any = UNSET) -> str:
    """Return a command line that answers a wait and is accepted, with values for what is required.

    Args:
        wait: the wait's short id.
        schema: what the answer must be.
        default: what is taken when nobody answers; `--set` changes it.
    """
    start = f"agentflow waits answer {wait}"
    value = _needed(schema, default)
    words = _sets(schema, value, default)
    if words is not None:
        return " ".join([start, *words])
    if value is UNSET or not fits(schema, value):
        return f"{start} --data '{PLACEHOLDER}'"
    return f"{start} --data {quote(safe_json(json.dumps(value, ensure_ascii=False)))}"


def run_command(workflow: str, schema: object) -> str:
    """Return a command line that starts a workflow and is accepted, with values for what is required of its input."""
    start = f"agentflow run {quote(workflow)}"
    required = resolve(schema).get("required")
    if not is_array(required) or not required:
        return start
    value = _needed(schema, UNSET)
    words = _sets(schema, value, UNSET, "--input")
    if words is not None:
        return " ".join([start, *words])
    if value is UNSET or not fits(schema, value):
        return f"{start} --input-json '{PLACEHOLDER}'"
    return f"{start} --input-json {quote(safe_json(json.dumps(value, ensure_ascii=False)))}"


def _needed(schema: object, default: Any) -> Any:
    """Return an example with what is required and little else."""
    if default is not UNSET and not is_object(default):
        return default
    whole = example(schema)
    if not is_object(whole):
        return whole if default is UNSET else default
    return needed(schema, whole, default if is_object(default) else {})


def _sets(schema: object, value: Any, default: Any, option: str = "--set") -> list[str] | None:
    """Return a value as repeated options; None where those don't come to an answer that fits, or can't be shown."""
    if not is_object(value) or not value or not is_object(resolve(schema).get("properties")):
        return None
    items = list(_written(value, schema, option))
    try:
        read = assignments(items, schema, option)
    except InputError:
        return None
    if read != value or not fits(schema, {**(default if is_object(default) else {}), **read}):
        return None
    words = [f"{option} {quote(item)}" for item in items]
    return words if all(clean(word) == word for word in words) else None


def _written(value: Mapping[str, Any], schema: object, option: str, start: str = "") -> Iterator[str]:
    """Yield an object as `key=value`, as a person would write it."""
    for name, part in value.items():
        if is_object(part) and part and not any("." in inner for inner in part):
            yield from _written(part, schema, option, f"{start}{name}.")
        elif is_array(part) and part and all(isinstance(each, str) for each in part):
            words = f"{start}{name}={','.join(part)}"
            yield words if _reads(words, part, schema, option) else f"{start}{name}={_plain(part)}"
        else:
            yield f"{start}{name}={_plain(part)}"


def _reads(item: str, value: Any, schema: object, option: str) -> bool:
    try:
        read: Any = assignments([item], schema, option)
    except InputError:
        return False
    while is_object(read):
        read = next(iter(read.values()), None)
    return read == value


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return f"@{value}" if value.startswith("@") else value
    return json.dumps(value, ensure_ascii=False)


def quote(text: str) -> str:
    """Quote a word for a shell where it needs it."""
    import shlex  # noqa: PLC0415  only for hints

    return shlex.quote(text)
