"""`steps`: the step types and their fields."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from agentflow.cli.format import one_line
from agentflow.cli.options import Common
from agentflow.cli.projects import plain_config
from agentflow.cli.tables import Column, layout, tabbed
from agentflow.config.plain import find_config
from agentflow.data import is_array, is_object
from agentflow.definition.described import described
from agentflow.definition.other_words import type_meant
from agentflow.errors import NotFoundError
from agentflow.steps import registry
from agentflow.steps.contract import StepType
from agentflow.steps.own import OwnTypes

TYPES = (Column("TYPE"), Column("DOES", cut=True, least=20), Column("NEEDS", drop=1))
FIELDS = (Column("FIELD"), Column("TYPE", cut=True), Column("DEFAULT", drop=1), Column("MEANS", cut=True, least=16))


def steps(common: Common, name: str | None) -> int:
    """List the step types, or the fields of one."""
    console = common.console()
    if name is not None:
        return _one(common, name)
    own = _own()
    own.load()
    for module, error in own.failures.items():
        console.say(f"! the step types of {module} aren't known: {error}")
    types = list(registry.all_types())
    if console.mode != "text":
        found = [{"type": t.name, "summary": t.summary, "skills": list(t.skills)} for t in types]
        console.data({"steps": found})
        return 0
    _table(common, TYPES, [[t.name, t.summary, ", ".join(t.skills)] for t in types])
    if console.out_terminal:
        console.say("agentflow steps TYPE shows its fields")
    return 0


def _own() -> OwnTypes:
    """Return what finds the step types of the config here, if there is one."""
    plain = plain_config(find_config())
    return OwnTypes(plain.folder, plain.python_modules)


def _one(common: Common, name: str) -> int:
    console = common.console()
    found = _own()(name)
    if found is None:
        near = type_meant(name, list(registry.names())) or get_close_matches(name, registry.names(), n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "agentflow steps lists them"
        raise NotFoundError(f'there is no step type "{name}"', code="AF-STEP-TYPE-UNKNOWN", hint=hint)
    schema = described(found.config).model_json_schema()
    if console.mode != "text":
        bodies = [{"name": b.name, "shape": b.shape, "required": b.required} for b in found.bodies]
        document = {"type": found.name, "summary": found.summary, "skills": list(found.skills)}
        console.data({**document, "timeout": found.timeout, "bodies": bodies, "schema": schema})
        return 0
    console.result(f"{found.name}: {found.summary}" if found.summary else found.name)
    needs = [f"needs {', '.join(found.skills)}"] if found.skills else []
    needs += [f"timeout {found.timeout:g}s by default"] if found.timeout else []
    if needs:
        console.result("; ".join(needs))
    console.result("")
    _table(common, FIELDS, field_rows(found, schema))
    if console.out_terminal:
        console.say("and the fields that every step has: id, depends_on, if, retry, timeout, on_error, for_each …")
    return 0


def field_rows(found: StepType, schema: dict[str, Any]) -> list[list[str]]:
    """Return (field, type, default, meaning) of a step type's fields and bodies."""
    required = schema.get("required")
    needed = set(required) if is_array(required) else set[Any]()
    shapes = {"steps": "list of steps", "step_or_steps": "step or list of steps", "cases": "list of {when, steps}"}
    rows: list[list[str]] = []
    properties = schema.get("properties")
    for name, part in properties.items() if is_object(properties) else ():
        if not is_object(part):
            continue
        default = (
            "required" if name in needed else one_line(part["default"], 20) if part.get("default") is not None else "-"
        )
        rows.append([name, type_text(part, schema), default, one_line(str(part.get("description") or ""), 200)])
    inside = [[b.name, shapes[b.shape], "required" if b.required else "-", "Steps inside."] for b in found.bodies]
    return rows + inside


def type_text(part: dict[str, Any], root: dict[str, Any]) -> str:
    """Say a field's type in few words."""
    options = part.get("enum")
    if is_array(options):
        return " | ".join(str(option) for option in options)
    if "const" in part:
        return str(part["const"])
    ref = part.get("$ref")
    if isinstance(ref, str):
        return ref.rpartition("/")[2]
    parts = part.get("anyOf") or part.get("oneOf")
    if is_array(parts):
        return " | ".join(dict.fromkeys(type_text(each, root) for each in parts if is_object(each)))
    kind = part.get("type")
    items = part.get("items")
    if kind == "array" and is_object(items):
        return f"list of {type_text(items, root)}"
    return str(kind) if isinstance(kind, str) else "any"


def _table(common: Common, columns: tuple[Column, ...], rows: list[list[str]]) -> None:
    console = common.console()
    if not console.out_terminal:
        console.page(tabbed([column.title for column in columns], rows))
        return
    head, *table = layout(columns, rows, console.width)
    console.page(
        [console.paint("  ".join(head).rstrip(), "dim", out=True), *("  ".join(row).rstrip() for row in table)]
    )
