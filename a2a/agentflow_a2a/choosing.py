"""Which workflow a message starts, and with what input. Where that can't be told, the run that asks for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from agentflow.data import is_object
from agentflow.definition.models import Workflow
from agentflow.definition.triggers import Slash, Tool
from agentflow.steps import constructors, constructors_nested
from agentflow.steps.unset import UNSET
from agentflow_a2a.files import filled, reads_files, takes_files
from agentflow_a2a.reading import Said, as_input
from agentflow_a2a.refusals import RefusedError, invalid
from agentflow_a2a.told import TASKS
from agentflow_a2a.triggers import triggers

_NAMES = frozenset({"workflow", "entry_point", "input"})
"""Keys of a data part that names a workflow."""


class Start(NamedTuple):
    """What to start."""

    workflow: str | Workflow
    input: Any
    entry_point: str | None = None


class _Choice(NamedTuple):
    workflow: Workflow
    entry_point: str | None = None
    input: Any = UNSET
    """UNSET: what the message says."""
    text: str | None = None
    """What is left of the message's text."""


def choose(workflows: Mapping[str, Workflow], content: Said, *metadata: Mapping[str, Any]) -> Start:
    """Return what a message starts: what it names, else what there is, else a run that asks.

    Args:
        workflows: those of the agent, by id.
        content: what the message holds.
        metadata: of the message and of the request: `skillId` may name a skill of the card.

    Raises:
        RefusedError: what it names isn't there.
    """
    choice = _named(workflows, content, metadata) or _by_command(workflows, content) or _only(workflows)
    if choice is None:
        return which(workflows, content)
    if content.files and not takes_files(choice.workflow):
        raise RefusedError("content_type", f'"{choice.workflow.id}" takes no files')
    if choice.input is not UNSET:
        value, left = filled(choice.input, content.files, choice.workflow.input_schema)
        return _start(choice, value, left)
    said = content if choice.text is None else content._replace(text=choice.text)
    try:
        value = as_input(said, choice.workflow.input_schema)
    except ValueError as error:
        return asking(choice.workflow, choice.entry_point, str(error))
    return _start(choice, value, filled({}, said.files, choice.workflow.input_schema)[1])


def _start(choice: _Choice, value: Any, left: int) -> Start:
    """Return a start; `left`: how many files of the message are for no field of its input."""
    if left and not reads_files(choice.workflow):
        raise RefusedError("content_type", f'"{choice.workflow.id}" takes fewer files: {left} are for no field of it')
    return Start(choice.workflow.id, value, choice.entry_point)


def _named(workflows: Mapping[str, Workflow], content: Said, metadata: tuple[Mapping[str, Any], ...]) -> _Choice | None:
    for told in metadata:
        inner: Any = told.get(TASKS)
        name = told.get("skillId") or (inner.get("skillId") if is_object(inner) else None)
        if isinstance(name, str):
            return _skill(workflows, name)
    for value in content.data:
        if is_object(value) and "workflow" in value and set(value) <= _NAMES:
            workflow = workflows.get(str(value["workflow"]))
            if workflow is None:
                raise _unknown("message.parts", str(value["workflow"]), list(workflows))
            entry: Any = value.get("entry_point")
            return _Choice(workflow, None if entry is None else str(entry), value.get("input", {}))
    return None


def _skill(workflows: Mapping[str, Workflow], name: str) -> _Choice:
    if name in workflows:
        return _Choice(workflows[name])
    tools = {tool.name: (workflow, entry) for workflow, entry, tool in triggers(workflows, Tool)}
    if name not in tools:
        raise _unknown("metadata.skillId", name, [*workflows, *tools])
    workflow, entry = tools[name]
    return _Choice(workflow, entry.id)


def _by_command(workflows: Mapping[str, Workflow], content: Said) -> _Choice | None:
    """Return what a slash command names: `/report emea`."""
    if not content.text.startswith("/"):
        return None
    word, _, rest = content.text[1:].partition(" ")
    for workflow, entry, slash in triggers(workflows, Slash):
        if word in (slash.name.lstrip("/"), *(alias.lstrip("/") for alias in slash.aliases)):
            return _Choice(workflow, entry.id, text=rest.strip())
    return None


def _only(workflows: Mapping[str, Workflow]) -> _Choice | None:
    """Return the one that any message means: the agent's only one, or the only one that declares a message trigger."""
    if len(workflows) == 1:
        return _Choice(next(iter(workflows.values())))
    declared = [
        _Choice(workflow, entry.id)
        for workflow in workflows.values()
        for entry in workflow.entry_points
        if any(trigger.type == "message" for trigger in entry.triggers)
    ]
    return declared[0] if len(declared) == 1 else None


def _unknown(field: str, name: str, known: list[str]) -> Exception:
    near = get_close_matches(name, known, 1)
    hint = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(known)}"
    return invalid(field, f'no workflow or skill "{name}"; {hint}')


# Runs that ask. They are ordinary runs: what is asked, and what is answered, survives a crash.


def asking(workflow: Workflow, entry_point: str | None, why: str) -> Start:
    """Return the start of a run that asks for a workflow's input, and then runs it."""
    question = f"What is the input of {workflow.id}? " + (workflow.description or "")
    schema = workflow.input_schema or {"type": "object"}
    steps = [
        constructors.wait_for_input("input", message=_plain(f"{question.strip()}\n{why}"), schema=schema),
        constructors.workflow("run", workflow=workflow.id, input="{steps.input}"),
    ]
    return Start(Workflow(id=f"ask-{workflow.id}", steps=steps, output="{steps.run}"), {}, None)


def which(workflows: Mapping[str, Workflow], content: Said) -> Start:
    """Return the start of a run that asks which workflow is meant, and then runs it.

    Each choice brings its input, unless the message has said it already.
    """
    fitting, variants, cases = list[Any](), list[dict[str, Any]](), list[Any]()
    for name, workflow in workflows.items():
        properties: dict[str, Any] = {"workflow": {"const": name}, "input": _nested(workflow.input_schema)}
        required = ["workflow", "input"]
        try:
            value = as_input(content, workflow.input_schema) if not content.files or takes_files(workflow) else UNSET
        except ValueError:
            value = UNSET
        if value is not UNSET:
            required = ["workflow"]
            when = f'{{steps.which.workflow}} == "{name}" && {{steps.which.input?}} == null'
            said = constructors.workflow(f"run_{len(fitting)}", workflow=name, input=f"{{input.said[{len(fitting)}]}}")
            cases.append((when, said))
            fitting.append(value)
        variants.append({"type": "object", "properties": properties, "required": required})
    lines = (f"- {name}: {each.description or each.label or name}" for name, each in workflows.items())
    question = "\n".join(("Which workflow do you mean?", *lines))
    chosen = constructors.workflow("run", workflow="{steps.which.workflow}", input="{steps.which.input}")
    schema = {
        "type": "object",
        "properties": {"workflow": {"enum": list(workflows)}, "input": {}},
        "required": ["workflow"],
        "oneOf": variants,
    }
    steps = [
        constructors.wait_for_input("which", message=_plain(question), schema=schema),
        constructors_nested.switch("chosen", cases=cases, default=chosen) if cases else chosen,
    ]
    return Start(Workflow(id="ask-which", steps=steps, output=f"{{steps.{steps[-1].id}}}"), {"said": fitting})


def _nested(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return a schema as part of another one; what refers to its own root says nothing there."""
    return {} if schema is None or "$ref" in repr(schema) else schema


def _plain(text: str) -> str:
    """Return a text that no template is read out of."""
    return text.replace("{", "{{") if "{" in text else text
