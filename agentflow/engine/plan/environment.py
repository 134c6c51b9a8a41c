"""What the planner asks of its host, and how it reaches a step that is being executed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Protocol

from agentflow.engine.gate import Gate
from agentflow.engine.program import Program, StepProgram


class Lease(Protocol):
    """How the engine reaches a step that a worker executes."""

    def interrupt(self, reason: str) -> None:
        """Cancel it; its worker reports back with this reason."""
        ...


class OutOfKeys(Exception):
    """There is no key at hand for a child run. What asked for one is to be done once there are some."""


class Environment(Protocol):
    """What the planner may ask of the outside; all of it answers at once."""

    random: random.Random
    currency: str
    """Of costs and budgets."""
    hands_out: bool
    """Whether attempts are handed to workers elsewhere."""

    @property
    def moment(self) -> float:
        """Time of the transition that is being planned: what is committed together has happened at one time."""
        ...

    @property
    def gate(self) -> Gate:
        """What values and texts go through that are kept."""
        ...

    def new_id(self) -> str:
        """Make an id."""
        ...

    def allocate(self) -> int:
        """Return a fresh run key; raises OutOfKeys when none is at hand."""
        ...

    def program(self, digest: str) -> Program:
        """Return the program of a definition that is known already."""
        ...

    def pinned(self, digest: str) -> Program | None:
        """Return the program of a sub-workflow's definition; None when it can't be used here."""
        ...

    def find_workflow(self, name: str, agent: str) -> Program | None:
        """Return the current program of a workflow by its id."""
        ...

    def missing(self, program: StepProgram) -> str | None:
        """Return what a step needs and hasn't got, as the message people see."""
        ...

    @property
    def env(self) -> Mapping[str, str]:
        """Values of the config's `env`."""
        ...
