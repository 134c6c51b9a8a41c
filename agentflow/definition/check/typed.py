"""Types of references against declared schemas, where both sides are declared simply."""

from __future__ import annotations

import re
from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition.check.calls import called
from agentflow.definition.check.info import EnvInfo
from agentflow.definition.check.report import Report, Spot
from agentflow.definition.check.schemas import agree, declared_types
from agentflow.definition.check.sites import Site
from agentflow.definition.models import Workflow
from agentflow.definition.scopes import Located
from agentflow.expressions import Reference

_LITERAL = re.compile(r"\s*(==|!=)\s*(?:\"([^\"\\]*)\"|'([^'\\]*)')")


def check_type(
    ref: Reference,
    text: str,
    schema: dict[str, Any],
    source: str,
    site: Site,
    here: Located | None,
    workflow: Workflow,
    env: EnvInfo,
    report: Report,
) -> None:
    """Report that a value which is exactly one reference can't have the type that is declared for its place."""
    given = declared_types(schema)
    target = _expected(ref, site, here, workflow, env)
    if given is None or target is None:
        return
    what, wanted_schema = target
    wanted = declared_types(wanted_schema)
    if wanted is None or agree(given, wanted):
        return
    report.add(
        "AF-REF-TYPE",
        f"{what} must be {_or(wanted)}, but {source} declares {text} as {_or(given)}",
        site.spot.below(*ref.value_path).at(ref.offset, ref.length),
        label=f"{_or(given)}, not {_or(wanted)}",
    )


def check_comparison(
    ref: Reference, text: str, schema: dict[str, Any], source: str, spot: Spot, report: Report
) -> None:
    """Report that a reference is compared with a text that its declared values don't have: the route is never taken."""
    match = _LITERAL.match(text, ref.offset + ref.length)
    if match is None:
        return
    literal = match[2] if match[2] is not None else match[3]
    values = _values(schema)
    if values is None or literal in values:
        return
    start = match.start(2) if match[2] is not None else match.start(3)
    always = "never" if match[1] == "==" else "always"
    report.add(
        "AF-CONDITION-NEVER",
        f"{text[ref.offset : ref.offset + ref.length]} is {always} {'equal to' if match[1] == '==' else 'other than'} "
        f'"{literal}": {source} declares {", ".join(values)}',
        spot.at(start, max(len(literal), 1)),
        label=report.meant(literal, values),
    )


def _values(schema: dict[str, Any]) -> list[str] | None:
    """Return the declared values of a schema as texts."""
    values = schema.get("enum")
    if values is None and "const" in schema:
        values = [schema["const"]]
    if values is None and schema.get("type") == "boolean":
        values = [True, False]
    if not is_array(values):
        return None
    return [("true" if one else "false") if isinstance(one, bool) else str(one) for one in values]


def _expected(
    ref: Reference, site: Site, here: Located | None, workflow: Workflow, env: EnvInfo
) -> tuple[str, object] | None:
    """Return the name and the schema of the place where a reference stands."""
    path = ref.value_path
    if here is None:
        schema = _walk(workflow.output_schema, path)
        name = f'"{".".join(map(str, path))}" of the output' if path else "the output"
        return (name, schema) if schema is not None and site.field == "output" else None
    step = here.step
    if site.field == "for_each" or (site.field == "in" and step.type == "for_each"):
        return (f'what step "{step.id}" loops over', {"type": "array"}) if not path else None
    target = called(step)
    takes = "input" if "input" in step.config else "with"
    if target is None or site.field != takes or target not in (env.workflows or {}):
        return None
    schema = _walk((env.workflows or {})[target].input_schema, path)
    name = f'input "{".".join(map(str, path))}"' if path else "the input"
    return None if schema is None else (f'{name} of workflow "{target}", called by step "{step.id}",', schema)


def _walk(schema: object, path: tuple[str | int, ...]) -> object | None:
    for part in path:
        if not is_object(schema):
            return None
        if isinstance(part, int):
            schema = schema.get("items")
            continue
        properties = schema.get("properties")
        schema = properties.get(part) if is_object(properties) else None
    return schema


def _or(types: frozenset[str]) -> str:
    return " or ".join(sorted(types))
