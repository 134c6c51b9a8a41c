"""Compiled definitions: the config's for good, others as long as a run in memory needs them, and the last few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from agentflow.data import decode
from agentflow.definition.models import Workflow
from agentflow.engine.program import Program, Types
from agentflow.errors import StoreError

RECENT = 32
"""Definitions besides the config's that are kept for the next run of theirs."""


class Catalog:
    """Programs by the hash of their definition, and those of the config's workflows by id."""

    def __init__(self, parse: Callable[[Any], Workflow], types: Types, http_timeout: float | None = None) -> None:
        """Start empty.

        Args:
            parse: reads a stored definition; raises StoreError.
            types: the step types.
            http_timeout: seconds, for steps that call services and say nothing themselves.
        """
        self._parse = parse
        self._types = types
        self._http_timeout = http_timeout
        self.current: dict[str, Program] = {}
        """Programs of the config's workflows, by id."""
        self.originals: dict[str, Workflow] = {}
        """These workflows as they were given, by id."""
        self.programs: dict[str, Program] = {}
        """What is kept whether a run needs it or not, by hash; what was used last comes last."""
        self.pins: dict[str, dict[str, str]] = {}
        """Hashes of the config's workflows → hashes of their sub-workflows by id."""
        self._given: dict[int, tuple[Workflow, Program]] = {}
        """Workflows that runs were started with as objects, by identity."""
        self._alive: WeakValueDictionary[str, Program] = WeakValueDictionary()

    def find(self, digest: str) -> Program | None:
        """Return the program of a definition, if it is known."""
        return self.programs.get(digest) or self._alive.get(digest)

    def raw(self, digest: str) -> bytes | None:
        """Return a definition as JSON, if it is known."""
        program = self.find(digest)
        return program.raw if program is not None else None

    def learn(self, digest: str, raw: bytes | None) -> Program:
        """Return the program of a stored definition; raises StoreError when it can't be read."""
        known = self.find(digest)
        if known is not None:
            return known
        if raw is None:
            raise StoreError(f"the definition {digest} of a run isn't in the store", code="AF-STORE-DAMAGED")
        program = self._compiled(self._parse(decode(raw)), digest, raw)
        self.keep(program)
        return program

    def compiled(self, workflow: Workflow, digest: str, raw: bytes) -> Program:
        """Return the program of a workflow whose definition has this hash."""
        return self.find(digest) or self._compiled(workflow, digest, raw)

    def _compiled(self, workflow: Workflow, digest: str, raw: bytes) -> Program:
        return Program(workflow, digest, self._types, self._http_timeout, raw)

    def keep(self, program: Program) -> None:
        """Know a program: as long as anybody has it, and for a while."""
        self._alive[program.digest] = program
        self.programs.pop(program.digest, None)
        self.programs[program.digest] = program
        own = {current.digest for current in self.current.values()} if len(self.programs) > RECENT else set[str]()
        spare = len(self.programs) - len(own) - RECENT
        for digest in [digest for digest in self.programs if digest not in own][: max(spare, 0)]:
            del self.programs[digest]

    def given(self, workflow: Workflow) -> Program | None:
        """Return the program of a workflow that was given before: of the config's, or with a run."""
        if self.originals.get(workflow.id) is workflow:
            return self.current[workflow.id]
        known = self._given.get(id(workflow))
        return known[1] if known is not None else None

    def lend(self, workflow: Workflow, program: Program) -> None:
        """Know a workflow that was given with a run, for the next one that is started with it."""
        self.keep(program)
        self._given[id(workflow)] = (workflow, program)
        while len(self._given) > RECENT:
            del self._given[next(iter(self._given))]

    def configure(self, workflow: Workflow, program: Program) -> None:
        """Let a workflow be the one that its id names, for runs that start from now on."""
        if self.current.get(workflow.id) is not program:
            self.pins.clear()  # what others pinned of this name is out of date
        self.current[workflow.id] = program
        self.originals[workflow.id] = workflow
        self.keep(program)

    def drop(self, name: str) -> None:
        """Let an id name no workflow any more; runs of the one that it named go on."""
        self.current.pop(name, None)
        self.originals.pop(name, None)
        self.pins.clear()

    def forget(self, digest: str) -> None:
        """Know a definition no more."""
        self.programs.pop(digest, None)
        self._alive.pop(digest, None)
