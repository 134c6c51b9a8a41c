"""The one registry of step types: built-in, registered by decorator, or brought by installed packages."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from pydantic import BaseModel

from agentflow.steps.contract import Execute, StepType

C = TypeVar("C", bound=BaseModel)

BUILTIN: Mapping[str, str] = {
    "api_call": "api_call",
    "tool_call": "tool_call",
    "agent_run": "agent_run",
    "script": "script",
    "python": "python",
    "set": "set_values",
    "condition": "condition",
    "switch": "switch",
    "parallel": "group",
    "sequence": "group",
    "for_each": "for_each",
    "while": "loop",
    "until": "loop",
    "saga": "group",
    "workflow": "workflow",
    "wait_for_input": "wait_for_input",
    "wait_for_event": "wait_for_event",
    "external_tool_call": "external_tool_call",
    "delay": "delay",
    "schedule": "schedule",
    "recur": "schedule",
    "poll": "poll",
    "publish": "publish",
    "reply": "reply",
    "respond": "respond",
    "checkpoint": "checkpoint",
    "artifact": "artifact",
    "end": "end",
}
"""Step type → the module of this package that exports it in `TYPES`. Imported on first use: HTTP costs its import."""

_types: dict[str, StepType] = {}


@lru_cache(maxsize=1)
def _brought() -> Mapping[str, Sequence[EntryPoint]]:
    """Return what installed packages bring, by name: finding that reads the data of every package."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group="agentflow.steps"):
        found.setdefault(entry.name, []).append(entry)
    return found


def register(spec: StepType) -> StepType:
    """Add a step type.

    Raises:
        ValueError: the name is taken by another type.
    """
    known = _types.get(spec.name)
    if spec.name in BUILTIN or (known is not None and known.config is not spec.config):
        raise ValueError(f'step type "{spec.name}" exists already')
    _types[spec.name] = spec
    return spec


def step_type(name: str, *, config: type[BaseModel], **fields: Any) -> Callable[[Execute], Execute]:
    """Register an async `execute(config, ctx)` as a step type.

    Args:
        name: what `type:` says.
        config: pydantic model of the type's fields; its `extra` should be "forbid".
        fields: further fields of `StepType`, such as `skills` or `timeout`.
    """

    def decorate(execute: Execute) -> Execute:
        fields.setdefault("summary", (execute.__doc__ or "").strip().partition("\n")[0])
        register(StepType(name=name, config=config, execute=execute, **fields))
        return execute

    return decorate


def find(name: str) -> StepType | None:
    """Return a step type by name, importing its module on first use; None if there is none."""
    spec = _types.get(name)
    if spec is not None:
        return spec
    module = BUILTIN.get(name)
    if module is not None:
        for found in importlib.import_module(f"agentflow.steps.{module}").TYPES:
            _types[found.name] = found
        return _types[name]
    for entry in _brought().get(name, ()):
        loaded = entry.load()
        if isinstance(loaded, StepType):
            _types[name] = loaded
    return _types.get(name)


def names() -> list[str]:
    """Return the names of all step types that can be found, in order."""
    return sorted({*BUILTIN, *_types, *_brought()})


def all_types() -> Iterator[StepType]:
    """Yield every step type, importing them all."""
    for name in names():
        spec = find(name)
        if spec is not None:
            yield spec
