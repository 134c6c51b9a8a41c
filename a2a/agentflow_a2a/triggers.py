"""The triggers of workflows that messages may mean. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from pydantic import ValidationError

from agentflow.definition.models import EntryPoint, Trigger, Workflow
from agentflow.definition.triggers import TypedTrigger, typed

T = TypeVar("T")


def triggers(workflows: Mapping[str, Workflow], kind: type[T]) -> Iterator[tuple[Workflow, EntryPoint, T]]:
    """Yield the triggers of a kind, with what they start."""
    for workflow in workflows.values():
        for entry in workflow.entry_points:
            for trigger in entry.triggers:
                fields = _fields(trigger)
                if isinstance(fields, kind):
                    yield workflow, entry, fields


def _fields(trigger: Trigger) -> TypedTrigger | None:
    try:
        return typed(trigger)
    except ValidationError:  # files of distri may hold some that say too little; the config has told of it
        return None
