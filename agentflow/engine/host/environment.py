"""What the planner may ask of its host: time, ids, programs, what is granted, values of the config's `env`."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from agentflow.clock import Clock
from agentflow.config import Limits
from agentflow.credentials import Book
from agentflow.engine.catalog import Catalog
from agentflow.engine.gate import Gate
from agentflow.engine.host.keys import Keys
from agentflow.engine.program import Program, StepProgram, Types
from agentflow.ids import IdSource
from agentflow.requirements import Checker, message
from agentflow.sealing import Sealer
from agentflow.steps.services import ProcessServices
from agentflow.store.rows import State

if TYPE_CHECKING:
    from agentflow.requirements.connections.book import ConnectionBook


class Environment:
    """One host's answers to the planner; see `plan.environment.Environment`."""

    def __init__(
        self,
        *,
        clock: Clock,
        ids: IdSource,
        types: Types,
        services: ProcessServices,
        env: Mapping[str, str],
        public_env: Mapping[str, str],
        checker: Checker,
        keys: Keys,
        catalog: Catalog,
        gate: Gate,
        limits: Limits,
        sealer: Sealer,
        book: Callable[[], ConnectionBook],
        credentials: Book,
        fed: Mapping[str, str] | None = None,
        agent: str = "",
        currency: str = "USD",
        keeps: Mapping[State, float] | None = None,
        seed: int | None = None,
    ) -> None:
        """Gather what is injected."""
        self.clock = clock
        self.agent = agent
        self.currency = currency
        """Whose the runs are that start here."""
        self.agents = ("", agent)
        """Those whose runs are executed here. '': it isn't known of whom a run is, as an older version began it."""
        self.keeps = keeps or {}
        """Seconds after its end that a run in each state is kept; of others nothing is said."""
        self.hands_out = False
        """Whether attempts are handed to workers elsewhere."""
        self.types = types
        self.limits = limits
        self.services = services
        self.env = env
        self.fed = fed or {}
        """Values of it that stand for tokens of connections → the connection."""
        self.public_env = public_env
        self.random = random.Random(seed)  # noqa: S311  jitter needs no secrecy
        self.catalog = catalog
        self.checker = checker
        self.now = clock.now
        self.moment = clock.now()
        """Time of the transition that is being planned."""
        self.new_id = ids
        self.keys = keys
        self.allocate = keys.take
        self.gate = gate
        self.sealer = sealer
        self._book = book
        self.credentials = credentials
        """Gives credentials to steps."""
        self._granted: dict[str, None] = {}
        """Step types whose skills are granted: that stays so. Connections come and go."""

    @property
    def book(self) -> ConnectionBook:
        """Where people sign in."""
        return self._book()

    def program(self, digest: str) -> Program:
        """Return the program of a definition that is known."""
        program = self.catalog.find(digest)
        if program is None:
            raise KeyError(digest)
        return program

    def pinned(self, digest: str) -> Program | None:
        """Return the program of a sub-workflow's definition, if it can be used here."""
        return self.catalog.find(digest)

    def find_workflow(self, name: str, agent: str) -> Program | None:
        """Return the current program of an agent's workflow: of another agent's the id means nothing here."""
        return self.catalog.current.get(name) if agent in self.agents else None

    def missing(self, program: StepProgram) -> str | None:
        """Return the skills that a step of a run needs and hasn't got, as the message people see.

        Connections are looked for by whoever executes it.
        """
        name, requires = program.spec.name, program.step.requires
        if not requires and name in self._granted:
            return None
        found = self.checker.missing(type_skills=program.needs)
        if found:
            return message(found)
        if not requires:
            self._granted[name] = None
        return None
