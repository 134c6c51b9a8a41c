"""Which tools there are: one a workflow, one a `tool` trigger, and those that look after runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from agentflow.config import Config
from agentflow.definition.models import EntryPoint, Trigger, Workflow
from agentflow.definition.tools import Named, name_problems, tools_of
from agentflow.definition.triggers import Tool as ToolTrigger
from agentflow.definition.triggers import typed
from agentflow.errors import DefinitionError
from agentflow_mcp.schemas import Schema, input_schema, result_schema


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
    task: Literal["auto", "sync", "task"] = "sync"
    """Whether a call may, or must, become a task."""


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


def offers(config: Config) -> dict[str, Offer]:
    """Return the tools that start workflows, by name, in the order of their names.

    Args:
        config: where the workflows are.

    Raises:
        DefinitionError: two tools have one name, or clients wouldn't take a name.
    """
    problems = name_problems(config.workflows.values(), config.place)
    if problems:
        raise DefinitionError(problems)
    named = [each for workflow in config.workflows.values() for each in tools_of(workflow)]
    return {each.name: _offer(each) for each in sorted(named, key=lambda one: one.name)}


def _offer(named: Named) -> Offer:
    if named.trigger is None:
        return _of_workflow(named.workflow)
    return _of_trigger(named.workflow, named.entry, named.trigger)


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
    said = workflow.mcp
    return Tool(
        name, description, schema, result_schema(workflow.output_schema), workflow.label, said.read_only,
        said.destructive, said.idempotent, said.open_world, task=said.mode,
    )  # fmt: skip


def checker(schema: Schema) -> Callable[[Any], list[str]]:
    """Return what lists the faults of arguments."""
    from agentflow.definition.json_schema import errors_of, make_validator  # noqa: PLC0415  a heavy import

    made = make_validator(schema)
    return lambda value: errors_of(made, value)
