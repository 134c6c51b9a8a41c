"""What checks are told about the surroundings of a workflow, and where things stand in its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agentflow.definition.models import Workflow
from agentflow.definition.pointers import join


@dataclass(frozen=True, slots=True)
class EnvInfo:
    """What a config offers to its workflows. None means: not known here, so not checked."""

    workflows: Mapping[str, Workflow] | None = None
    """Workflows that can be called, by id; the checked one included."""
    env: Mapping[str, bool] | None = None
    """Names that templates may read as `{env.X}`, each with whether it is public."""
    python_modules: tuple[str, ...] | None = None
    """Modules that python steps may use."""
    tools: frozenset[str] | None = None
    """Names of Python functions and servers under `tools`; only used to tell near misses."""
    agents: frozenset[str] | None = None
    """Names under `agents`; only used to tell near misses."""
    relative: bool = True
    """Whether a relative url has something that it is relative to, or nobody knows."""
    skills: frozenset[str] | None = None
    """Granted native skills, such as `native:shell`."""
    calls: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], compare=False, repr=False)
    """Who calls whom, filled by the checks themselves."""


class Pointers(Protocol):
    """Where a workflow's parts stand in its document; `parse.Parsed` is one."""

    def pointer(self, address: str, field: str | None = None, *path: str | int) -> str:
        """Return the JSON pointer of a step, of one of its fields, or of a value below that.

        Args:
            address: the step's address in the definition; "" is the workflow itself.
            field: a field of the step (or the workflow) as YAML writes it.
            path: keys and indexes below the field.
        """
        ...

    @property
    def broken(self) -> frozenset[str]:
        """Addresses of steps with errors: what only follows from those isn't told."""
        ...


@dataclass(frozen=True, slots=True)
class PlainPointers:
    """Pointers of a workflow that was built in Python: no document, so the addresses themselves."""

    def pointer(self, address: str, field: str | None = None, *path: str | int) -> str:
        """Return the address with the field below it."""
        parts = [part for part in (field, *path) if part is not None]
        return join(f"/{address}" if address else "", *parts)

    @property
    def broken(self) -> frozenset[str]:
        """Return that no step is known to have errors."""
        return frozenset()
