"""`x-mcp-header`: an argument of a tool that clients also send as an HTTP header. Who breaks its rules isn't listed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from agentflow.data import is_object
from agentflow.definition.check.report import Report, Spot
from agentflow.definition.check.schemas import schemas_in

WORD: Final = "x-mcp-header"
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TYPES: Final = frozenset({"string", "integer", "boolean"})


def check_headers(schema: object, spot: Spot, report: Report) -> None:
    """Report annotations that clients wouldn't take.

    Args:
        schema: of a tool's arguments, valid as a schema.
        spot: where it stands.
        report: takes the problems.
    """
    if not is_object(schema):
        return
    seen: dict[str, str] = {}
    for path, part in schemas_in(schema):
        if WORD in part:
            problem = _problem(path, part, seen)
            if problem is not None:
                hint = "it names a header, once, on a property of the type string, integer or boolean"
                report.add("AF-SCHEMA-HEADER", problem, spot.below(*path, WORD), hint=hint)


def _problem(path: tuple[str | int, ...], part: Mapping[str, Any], seen: dict[str, str]) -> str | None:
    name = ".".join(str(each) for each in path[1::2])
    if not path or len(path) % 2 or any(each != "properties" for each in path[::2]):
        return f"{WORD} stands where no property of the arguments is"
    header = part[WORD]
    if not isinstance(header, str) or not _TOKEN.fullmatch(header):
        return f'{WORD} of "{name}" is no name of a header'
    if part.get("type") not in _TYPES:
        return f'{WORD} of "{name}": only texts, integers and booleans are sent as headers'
    first = seen.setdefault(header.lower(), name)
    return None if first == name else f'{WORD} "{header}" of "{name}" is taken by "{first}"'
