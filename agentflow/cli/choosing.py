"""Which workflow a bare `run` means: the only one, the one that somebody chooses, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from agentflow.cli.ask import Form, Left
from agentflow.cli.console import Console
from agentflow.cli.examples import run_command
from agentflow.cli.format import plural
from agentflow.cli.values import usage
from agentflow.data import is_array
from agentflow.definition.typed_text import resolve
from agentflow.errors import NotFoundError

if TYPE_CHECKING:
    from agentflow.config import Config
    from agentflow.definition.models import Workflow

_NAMED = 10
"""More workflows than this aren't named in an error."""


def choose(console: Console, config: Config, flags: str) -> Workflow | None:
    """Return the workflow that `run` without a name means; None: who was asked left.

    Args:
        console: where to ask.
        config: its workflows are offered.
        flags: options to repeat in commands that are told.

    Raises:
        NotFoundError: there is no workflow.
        InputError: there are several, and nobody can be asked.
    """
    known = list(config.workflows.values())
    where = config.file.name if config.file is not None else "the config"
    if not known:
        raise NotFoundError(f"{where} has no workflow", code="AF-WORKFLOW-UNKNOWN", hint="agentflow init makes one")
    if len(known) == 1:
        return known[0]
    if not console.asks:
        commands = [run_command(each.id, each.input_schema) + flags for each in known[:_NAMED]]
        if len(known) > _NAMED:
            commands.append("agentflow workflows lists them all")
        raise usage(f"{where} has {plural(len(known), 'workflow')}: say which one to run", "\n".join(commands))
    console.say(f"{where} has {plural(len(known), 'workflow')}:")
    choices = [{"const": each.id, "title": _titled(each)} for each in known]
    schema = {"type": "object", "properties": {"workflow": {"oneOf": choices}}, "required": ["workflow"]}
    try:
        return config.workflows[anyio.run(Form(console, schema).fill)["workflow"]]
    except Left:
        return None


def ask_input(console: Console, workflow: Workflow) -> Any:
    """Ask for a workflow's input where some is required; None: who was asked left."""
    schema = workflow.input_schema
    required = resolve(schema).get("required")
    if schema is None or not is_array(required) or not required:
        return {}
    try:
        return anyio.run(Form(console, schema).fill)
    except Left:
        return None


def _titled(workflow: Workflow) -> str:
    return (workflow.description or "").strip().partition("\n")[0] or workflow.id
