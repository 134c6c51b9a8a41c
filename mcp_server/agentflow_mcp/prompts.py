"""Prompts: texts of workflows that people choose in their client, filled with the workflow's input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agentflow.config import Config
from agentflow.data import is_array, is_object
from agentflow.definition.models import Workflow
from agentflow.definition.tools import INPUT_PLACE
from agentflow.errors import InputError

MOST: Final = 100
"""Values that one completion gives at most."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An input that a prompt is filled with."""

    name: str
    description: str | None
    required: bool
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A workflow's prompt."""

    name: str
    title: str | None
    description: str | None
    text: str
    arguments: tuple[Argument, ...]

    def filled(self, given: Mapping[str, str]) -> str:
        """Return the text with what was given in its places; an input that needn't be given is empty there.

        Raises:
            InputError: one is missing, or there is no such input.
        """
        known = {each.name for each in self.arguments}
        missing = [each.name for each in self.arguments if each.required and each.name not in given]
        if missing:
            raise InputError(f"the prompt {self.name} needs: {', '.join(missing)}")
        if not given.keys() <= known:
            raise InputError(f"the prompt {self.name} takes: {', '.join(sorted(known)) or 'nothing'}")
        return INPUT_PLACE.sub(lambda found: given.get(found[1], ""), self.text)


def prompts_of(config: Config) -> dict[str, Prompt]:
    """Return the prompts of workflows that have one, by name, in their order."""
    return {
        name: _prompt(workflow, workflow.mcp.prompt)
        for name, workflow in sorted(config.workflows.items())
        if workflow.mcp.prompt is not None and workflow.mcp.expose is not False
    }


def _prompt(workflow: Workflow, text: str) -> Prompt:
    schema = workflow.input_schema or {}
    declared: Any = schema.get("properties")
    properties: Mapping[str, Any] = declared if is_object(declared) else {}
    required = schema.get("required", ())
    names = dict.fromkeys(INPUT_PLACE.findall(text))
    arguments = tuple(_argument(name, properties.get(name), required=name in required) for name in names)
    return Prompt(workflow.id, workflow.label, workflow.description, text, arguments)


def _argument(name: str, schema: object, *, required: bool) -> Argument:
    if not is_object(schema):
        return Argument(name, None, required)
    said, choices = schema.get("description"), schema.get("enum")
    listed = tuple(each for each in choices if isinstance(each, str)) if is_array(choices) else ()
    return Argument(name, str(said) if said else None, required, listed)


def choices_of(prompts: Mapping[str, Prompt], name: str, argument: str, begun: str) -> list[str]:
    """Return the values of a prompt's argument that begin with a text."""
    prompt = prompts.get(name)
    found = next((each.choices for each in prompt.arguments if each.name == argument), ()) if prompt is not None else ()
    return [each for each in found if each.startswith(begun)]
