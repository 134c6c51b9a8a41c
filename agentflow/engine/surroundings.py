"""What the planner may ask of its host: time, ids, programs, what is granted, values of the environment."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import anyio

from agentflow.clock import Clock
from agentflow.config import Limits
from agentflow.data import decode
from agentflow.definition.models import Workflow
from agentflow.engine.catalog import Catalog
from agentflow.engine.gate import Gate
from agentflow.engine.program import Program, StepProgram, Types
from agentflow.engine.reducing import Reducers
from agentflow.errors import StoreError
from agentflow.ids import IdSource
from agentflow.steps.services import ProcessServices


class Surroundings:
    """One host's answers to the planner; see `state.World`."""

    stopping: bool

    def __init__(
        self,
        *,
        clock: Clock,
        ids: IdSource,
        types: Types,
        services: ProcessServices,
        env: Mapping[str, str],
        public_env: Mapping[str, str],
        missing: Callable[[StepProgram], str | None],
        allocate: Callable[[], int],
        parse: Callable[[Any], Workflow],
        gate: Gate,
        limits: Limits,
        http_timeout: float | None = None,
        seed: int | None = None,
    ) -> None:
        """Gather what is injected."""
        self.clock = clock
        self.types = types
        self.limits = limits
        self.http_timeout = http_timeout
        self.services = services
        self.env = env
        self.public_env = public_env
        self.random = random.Random(seed)  # noqa: S311  jitter needs no secrecy
        self.catalog = Catalog()
        self.now = clock.now
        self.moment = clock.now()
        """Time of the transition that is being planned."""
        self.new_id = ids
        self.allocate = allocate
        self._missing = missing
        self._parse = parse
        self.gate = gate
        self.reducers = Reducers(services.python, gate)
        self.timer_scope: anyio.CancelScope | None = None

    @property
    def programs(self) -> Mapping[str, Program]:
        """Programs that are kept, by the hash of their definition."""
        return self.catalog.programs

    @property
    def current(self) -> Mapping[str, Program]:
        """Programs of the workflows of the current config, by id."""
        return self.catalog.current

    @property
    def originals(self) -> Mapping[str, Workflow]:
        """Workflows of the current config as they were given, by id."""
        return self.catalog.originals

    def program(self, digest: str) -> Program:
        """Return the program of a definition that is known."""
        program = self.catalog.find(digest)
        if program is None:
            raise KeyError(digest)
        return program

    def pinned(self, digest: str) -> Program | None:
        """Return the program of a sub-workflow's definition, if it can be used here."""
        return self.catalog.find(digest)

    def learn(self, digest: str, raw: bytes | None) -> Program:
        """Make the program of a stored definition."""
        known = self.catalog.find(digest)
        if known is not None:
            return known
        if raw is None:
            raise StoreError(f"the definition {digest} of a run isn't in the store", code="AF-STORE-DAMAGED")
        program = Program(self._parse(decode(raw)), digest, self.types, self.http_timeout, raw)
        self.catalog.keep(program)
        return program

    def find_workflow(self, name: str) -> Program | None:
        """Return the current program of a workflow."""
        return self.catalog.current.get(name)

    def missing(self, program: StepProgram) -> str | None:
        """Return what a step needs and hasn't got."""
        return self._missing(program)

    def timers_changed(self) -> None:
        """Wake whoever sleeps until the next timer."""
        if self.timer_scope is not None:
            self.timer_scope.cancel()
