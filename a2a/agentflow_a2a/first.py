"""A first message to an agent: one that starts a workflow, for people to paste. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentflow.data import is_object
from agentflow.definition.models import Workflow
from agentflow.definition.samples import fits, needed, samples
from agentflow_a2a.reading import Said, as_input

_HELLO = "hello"


def first_message(workflows: Mapping[str, Workflow]) -> dict[str, Any]:
    """Return a message that starts the first of some workflows: a text where one fits, else data that does."""
    workflow = next(iter(workflows.values()))
    message = {"messageId": "1", "role": "ROLE_USER", "parts": [_part(workflow)]}
    # Of several one has to be named.
    return message if len(workflows) == 1 else {**message, "metadata": {"skillId": workflow.id}}


def _part(workflow: Workflow) -> dict[str, Any]:
    schema = workflow.input_schema
    for text in (*workflow.examples, _HELLO):
        if _starts(text, schema):
            return {"text": text}
    found = next(samples(schema), None)
    return {"data": needed(schema, found, {})} if is_object(found) else {"text": _HELLO}


def _starts(text: str, schema: Mapping[str, Any] | None) -> bool:
    """Tell whether a text is an input, and says something of it if there is anything to say."""
    try:
        value = as_input(Said(text, ()), schema)
    except ValueError:
        return False
    return schema is None or (fits(schema, value) and bool(value or not schema.get("properties")))
