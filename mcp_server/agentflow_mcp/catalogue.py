"""Which tools there are: one a workflow, one a `tool` trigger, and those that look after runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agentflow.config import Config
from agentflow.definition.models import EntryPoint, Trigger, Workflow
from agentflow.definition.triggers import Tool as ToolTrigger
from agentflow.definition.triggers import typed
from agentflow.errors import DefinitionError, Problem
from agentflow_mcp.schemas import Schema, input_schema, result_schema

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool as clients see it."""

    name: str
    description: str
    input_schema: Schema
    output_schema: Schema | None = None
    title: str | None = None
    read_only: bool = False
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool that starts a workflow."""

    tool: Tool
    workflow: str
    entry_point: str | None = None
    own_schema: bool = False
    """Whether the arguments have a schema besides the workflow's."""
    wrapped: bool = False
    """Whether the workflow's input is the argument `input`."""


def offers(config: Config, taken: Mapping[str, object]) -> dict[str, Offer]:
    """Return the tools that start workflows, by name, in the order of their names.

    Args:
        config: where the workflows are.
        taken: names that other tools have.

    Raises:
        DefinitionError: two tools have one name, or clients wouldn't take a name.
    """
    found: dict[str, Offer] = {}
    problems: list[Problem] = []
    for offer in _all(config):
        name, workflow = offer.tool.name, offer.workflow
        code = what = None
        if not _NAME.fullmatch(name):
            code, what = "AF-TRIGGER-NAME", f'"{name}" is no name of a tool: letters, digits, _ . -, at most 128'
        elif name in taken:
            code, what = "AF-TRIGGER-RESERVED", f'the tool "{name}" of agentflow itself has this name already'
        elif name in found:
            code, what = "AF-TRIGGER-DUPLICATE", f'the workflow "{found[name].workflow}" offers a tool "{name}" too'
        if code is not None and what is not None:
            problems.append(
                Problem(code, what, place=config.place(workflow, ""), hint="choose another name", workflow=workflow)
            )
            continue
        found[name] = offer
    if problems:
        raise DefinitionError(problems)
    return dict(sorted(found.items()))


def _all(config: Config) -> Iterator[Offer]:
    for workflow in config.workflows.values():
        named = [(None, each) for each in workflow.triggers if each.type == "tool"]
        named += [(entry, each) for entry in workflow.entry_points for each in entry.triggers if each.type == "tool"]
        if not any(_get(trigger, "name") == workflow.id for _, trigger in named):
            yield _of_workflow(workflow)
        for entry, trigger in named:
            yield _of_trigger(workflow, entry, trigger)


def _get(trigger: Trigger, name: str) -> Any:
    return (trigger.model_extra or {}).get(name)


def _of_workflow(workflow: Workflow) -> Offer:
    schema, wrapped = input_schema(workflow.input_schema)
    return Offer(_tool(workflow, workflow.id, _described(workflow), schema), workflow.id, wrapped=wrapped)


def _of_trigger(workflow: Workflow, entry: EntryPoint | None, trigger: Trigger) -> Offer:
    said = typed(trigger)
    assert isinstance(said, ToolTrigger)  # noqa: S101  that is its kind
    given = said.input_schema
    if given is None:
        given = workflow.input_schema
        if given is not None and entry is not None:
            required = entry.required_inputs if entry.starts_at is not None else given.get("required", ())
            required = [*required, *(name for name in entry.required_inputs if name not in required)]
            given = {name: value for name, value in given.items() if name != "required"}
            given = {**given, "required": required} if required else given
    schema, wrapped = input_schema(given)
    tool = _tool(workflow, said.name, said.description, schema)
    own = said.input_schema is not None
    return Offer(tool, workflow.id, entry.id if entry else None, own_schema=own, wrapped=wrapped)


def _described(workflow: Workflow) -> str:
    return workflow.description or f'Runs the workflow "{workflow.name}".'


def _tool(workflow: Workflow, name: str, description: str, schema: Schema) -> Tool:
    return Tool(name, description, schema, result_schema(workflow.output_schema), workflow.label)


def checker(schema: Schema) -> Callable[[Any], list[str]]:
    """Return what lists the faults of arguments."""
    from agentflow.definition.json_schema import errors_of, make_validator  # noqa: PLC0415  a heavy import

    made = make_validator(schema)
    return lambda value: errors_of(made, value)
