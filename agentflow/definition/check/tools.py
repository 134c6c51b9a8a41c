"""Calls of tools, where it is known what tools there are: do they exist, does the input fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from agentflow.data import is_array, is_object
from agentflow.definition.check.info import Pointers
from agentflow.definition.check.report import Report, Spot, known
from agentflow.definition.json_schema import make_validator
from agentflow.definition.models import Workflow
from agentflow.definition.scopes import Located, walk
from agentflow.definition.types import PlaceOf
from agentflow.errors import Problem
from agentflow.expressions import ExpressionError, compile_value
from agentflow.redaction import current

_STRUCTURE = frozenset({"required", "type", "additionalProperties", "propertyNames", "minProperties", "maxProperties"})
"""What can be said of an object whose values aren't known yet."""
_LONGEST = 200


def check_tools(
    workflow: Workflow,
    tools: Mapping[str | None, Mapping[str, Mapping[str, Any]]],
    unknown: Sequence[str],
    *,
    pointers: Pointers | None = None,
    place: PlaceOf | None = None,
) -> list[Problem]:
    """Check the steps of a workflow that call tools; what templates make of the input isn't known.

    Args:
        workflow: what to check.
        tools: server → tool → schema of its arguments; those of None are functions.
        unknown: servers of which it isn't known what they have.
        pointers: where the workflow's parts stand in its document.
        place: finds a pointer's line and column.
    """
    report = Report(pointers, place)
    for scope in walk(workflow):
        for located in scope.located:
            if located.step.type == "tool_call":
                _check(located, tools, unknown, report)
    return report.problems


def _check(
    located: Located,
    tools: Mapping[str | None, Mapping[str, Mapping[str, Any]]],
    unknown: Sequence[str],
    report: Report,
) -> None:
    name, server = located.step.config.get("tool_name"), located.step.config.get("server")
    if not _is_text(name) or (server is not None and not _is_text(server)) or server in unknown:
        return
    if server is not None and server not in tools:
        what = f'the config has no tool server "{server}"'
        label = report.meant(server, [each for each in tools if each is not None])
        report.add("AF-REF-PROVIDER", what, Spot(located.address, "server"), label=label)
        return
    searched = [tools[server]] if server is not None else list(tools.values())
    schema = next((each[name] for each in searched if name in each), None)
    if schema is not None:
        _check_input(located, name, schema, report)
    elif server is not None or not unknown:
        names = sorted({each for one in searched for each in one})
        label = report.meant(name, names)
        where = f'server "{server}" has no tool' if server is not None else "there is no tool"
        hint = None if label else known(names, "tools")
        report.add("AF-TOOL-UNKNOWN", f'{where} "{name}"', Spot(located.address, "tool_name"), label=label, hint=hint)


def _check_input(located: Located, tool: str, schema: Mapping[str, Any], report: Report) -> None:
    field = "input" if "input" in located.step.config or located.step.with_ is None else "with"
    given: Any = located.step.config.get("input", located.step.with_)
    given = {} if given is None else given
    if not is_object(given):
        return
    try:
        validator = make_validator(dict(schema))
    except ValueError:  # the server's fault, not the workflow's
        return
    for error in validator.iter_errors(given):
        path = tuple(error.instance_path)
        if not _is_certain(_at(given, path), str(error.schema_path[-1]) if error.schema_path else ""):
            continue
        here = field in located.step.config or field == "with"
        spot = Spot(located.address, field, path) if here else Spot(located.address, "tool_name")
        message = current().head(error.message, _LONGEST)
        where = f"{'.'.join(map(str, path))}: " if path else ""
        what = f'the input of step "{located.step.id}" doesn\'t fit tool "{tool}": {where}{message}'
        report.add("AF-TOOL-ARGUMENTS", what, spot)


def _is_certain(value: Any, keyword: str) -> bool:
    """Tell whether a fault of a value stays one, whatever the templates inside it come to."""
    if isinstance(value, str):
        return _is_text(value)
    return keyword in _STRUCTURE or not _has_templates(value)


def _has_templates(value: Any) -> bool:
    if isinstance(value, str):
        return not _is_text(value)
    if is_object(value):
        return any(_has_templates(each) for each in value.values())
    return is_array(value) and any(_has_templates(each) for each in value)


def _is_text(value: object) -> TypeGuard[str]:
    """Tell whether a value is a text that no template makes."""
    if not isinstance(value, str):
        return False
    try:
        return compile_value(value).constant
    except ExpressionError:
        return False


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        value = value[part]
    return value
