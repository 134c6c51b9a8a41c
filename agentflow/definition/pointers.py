"""JSON pointers into documents, and the addresses of steps inside a workflow."""

from __future__ import annotations

import re

from agentflow.data import is_array, is_object

_PLAIN = re.compile(r"[A-Za-z0-9_-]*").fullmatch


def join(pointer: str, *parts: str | int) -> str:
    """Append keys and indexes to a JSON pointer."""
    for part in parts:
        text = str(part)
        if "~" in text or "/" in text:
            text = text.replace("~", "~0").replace("/", "~1")
        pointer = f"{pointer}/{text}"
    return pointer


def split(pointer: str) -> list[str]:
    """Return the keys of a JSON pointer."""
    if not pointer:
        return []
    parts = pointer[1:].split("/")
    return [part.replace("~1", "/").replace("~0", "~") for part in parts] if "~" in pointer else parts


def lookup(data: object, pointer: str) -> object:
    """Return the value at a JSON pointer.

    Raises:
        KeyError: there is none.
    """
    value = data
    for part in split(pointer):
        if is_object(value) and part in value:
            value = value[part]
        elif is_array(value) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise KeyError(pointer)
    return value


def segment(step_id: str) -> str:
    """Return a step's id as a part of an address: characters outside `[A-Za-z0-9_-]` are percent-encoded."""
    if _PLAIN(step_id):
        return step_id
    return "".join(c if _PLAIN(c) else "".join(f"%{b:02X}" for b in c.encode("utf-8", "replace")) for c in step_id)


def child_address(parent: str, body_key: str, step_id: str, single: bool) -> str:
    """Return the address of a step in a body of a container.

    Args:
        parent: the container's address.
        body_key: the body's key: `steps`, `if_true`, `case[0]`, ….
        step_id: the step's id.
        single: the body is one step, whose address is the body's own.
    """
    if single:
        return f"{parent}/{body_key}"
    if body_key == "steps":
        return f"{parent}/{segment(step_id)}"
    return f"{parent}/{body_key}/{segment(step_id)}"
