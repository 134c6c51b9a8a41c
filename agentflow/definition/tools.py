"""Workflows as tools: which names they have, and what clients wouldn't take."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from agentflow.definition.models import EntryPoint, Trigger, Workflow
from agentflow.errors import Place, Problem

CONTROLS: Final = (
    "resume_workflow",
    "wait_workflow",
    "get_workflow_run",
    "list_waiting_steps",
    "list_workflow_runs",
    "cancel_workflow_run",
)
"""Names of the tools that look after runs."""
INPUT_PLACE: Final = re.compile(r"\{input\.([A-Za-z_][A-Za-z0-9_-]*)\??\}")
"""Where an input stands in a prompt."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class Named(NamedTuple):
    """A tool that starts a workflow."""

    name: str
    workflow: Workflow
    entry: EntryPoint | None = None
    trigger: Trigger | None = None


def tools_of(workflow: Workflow) -> Iterator[Named]:
    """Yield a workflow's tools: its triggers, and itself where none of those starts it at its beginning.

    With `mcp: {expose: true}` it is there beside such a trigger too; with `expose: false` there is nothing.
    """
    exposed = workflow.mcp.expose
    if exposed is False:
        return
    own = [Named(_name(each), workflow, None, each) for each in workflow.triggers if each.type == "tool"]
    entries = [
        Named(_name(each), workflow, entry, each)
        for entry in workflow.entry_points
        for each in entry.triggers
        if each.type == "tool"
    ]
    taken = {named.name for named in (*own, *entries)}
    if (exposed or not own) and workflow.id not in taken:
        yield Named(workflow.id, workflow)
    yield from own
    yield from entries


def _name(trigger: Trigger) -> str:
    given: Any = (trigger.model_extra or {}).get("name")
    return given if isinstance(given, str) else ""


def name_problems(workflows: Iterable[Workflow], place: Callable[[str, str], Place | None]) -> list[Problem]:
    """Return what is wrong with the names of tools: two have one, it is agentflow's own, or clients wouldn't take it.

    Args:
        workflows: all of a config.
        place: finds the place of a workflow's part by its id and an address.
    """
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for named in (named for workflow in workflows for named in tools_of(workflow)):
        name, owner = named.name, named.workflow.id
        code = what = None
        if not _NAME.fullmatch(name):
            code, what = "AF-TRIGGER-NAME", f'"{name}" is no name of a tool: letters, digits, _ . -, at most 128'
        elif name in CONTROLS:
            code, what = "AF-TRIGGER-RESERVED", f'the tool "{name}" of agentflow itself has this name already'
        elif name in found:
            code, what = "AF-TRIGGER-DUPLICATE", f'the workflow "{found[name]}" offers a tool "{name}" too'
        if code is not None and what is not None:
            hint = "choose another name, or write `mcp: false`"
            problems.append(Problem(code, what, place=place(owner, ""), hint=hint, workflow=owner))
        found.setdefault(name, owner)
    return problems
