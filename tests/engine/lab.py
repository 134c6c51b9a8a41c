"""What engine tests share: short ways to a workflow, an engine over it, and what became of its run."""

# ruff: noqa: A002  parameters are named as the fields are in YAML

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

import anyio

from agentflow.config import Config, config_from
from agentflow.definition.models import Step, Workflow
from agentflow.engine import Engine, Event, Run
from agentflow.steps import python
from agentflow.steps.building import Common
from agentflow.steps.unset import UNSET
from agentflow.store.contract import Store
from agentflow.testing.clock import FakeClock
from agentflow.testing.outcome import RunOutcome, look_at
from tests.workers.crew import Crew

LIMIT = 60
"""Seconds after which a wait of a test has failed."""
SKILLS = ("native:python", "native:shell", "native:network")


@dataclass
class Lab:
    """Makes workflows and engines. `lab.call` lets a step call any function, a closure of the test too."""

    clock: FakeClock
    always_replay: bool
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    wire: bool = False
    crew: Crew | None = None
    """Executes steps, in another process."""

    @property
    def sends(self) -> bool:
        """Whether steps are sent through JSON."""
        return self.wire or self.crew is not None

    def call(self, id: str, function: Callable[..., Any], *, input: Any = UNSET, **common: Unpack[Common]) -> Step:
        """Return a python step that calls a function. Make it before the engine opens."""
        target = f"lab:f{len(self.functions)}"
        self.functions[target] = function
        return python(id, function=target, input=input, **common)

    def workflow(self, *steps: Step, id: str = "main", **fields: Any) -> Workflow:
        """Return a workflow of some steps."""
        return Workflow(id=id, steps=steps, **fields)

    @asynccontextmanager
    async def open(
        self,
        *workflows: Workflow,
        store: Store | Path | str = ":memory:",
        skills: Iterable[str] = SKILLS,
        config: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncGenerator[Engine]:
        """Open an engine over some workflows; all native skills are granted."""
        fields: dict[str, Any] = {"skills": list(skills), "python_modules": ("lab",), **(config or {})}
        if "native:python" not in fields["skills"]:
            fields["python_modules"] = ()
        made = config_from(workflows, **fields)
        settings: dict[str, Any] = {
            "clock": self.clock,
            "always_replay": self.always_replay,
            "runtime": "wire" if self.wire else None,
            "grace": 0.0,
            "functions": self.functions,
            "tools": {},
            "agents": {},
            **options,
        }
        async with self.workers(made, settings), Engine.open(store, config=made, **settings) as engine:
            yield engine

    @asynccontextmanager
    async def workers(self, config: Config, settings: dict[str, Any]) -> AsyncGenerator[None]:
        """Let steps be executed in another process, if that is the mode and the settings say nothing else."""
        if self.crew is None or settings["runtime"] is not None or settings.get("host") == "none":
            yield
            return
        given = (settings[name] for name in ("clock", "functions", "tools", "agents"))
        async with self.crew.employ(config, *given) as settings["runtime"]:
            yield

    async def run(
        self, *steps: Step, input: Any = None, options: Mapping[str, Any] | None = None, **fields: Any
    ) -> RunOutcome:
        """Run a workflow of some steps until it has ended or only waits, and tell what became of it."""
        async with self.open(self.workflow(*steps, **fields), **(options or {})) as engine:
            return await self.finish(engine, await engine.start(fields.get("id", "main"), input))

    async def finish(self, engine: Engine, run: Run) -> RunOutcome:
        """Wait until a run has ended or only waits, and tell what became of it."""
        with anyio.fail_after(LIMIT):
            if (await engine.wait(run.id)).ended and self.crew is not None:
                await self.crew.settled()
            return await self.look(engine, run.id)

    async def look(self, engine: Engine, run_id: str) -> RunOutcome:
        """Tell what a run is like now."""
        return await look_at(engine, run_id)


async def until(engine: Engine, run_id: str, kind: str, step: str | None = None) -> Event:
    """Return the first event of a type (and of a step) in a run's log, waiting for it."""
    with anyio.fail_after(LIMIT):
        async for event in engine.subscribe(run_id):
            if event.type == kind and (step is None or event.step == step):
                return event
    raise AssertionError(f"the run ended without {kind} of {step}")
