"""What engine tests share: short ways to a workflow, an engine over it, and what became of its run."""

# ruff: noqa: A002  parameters are named as the fields are in YAML

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

import anyio

from agentflow.config import config_from
from agentflow.data import decode
from agentflow.definition.models import Step, Workflow
from agentflow.engine import Engine, Event, Run, WaitView
from agentflow.steps import python
from agentflow.steps.building import Common
from agentflow.steps.contract import UNSET
from agentflow.store.contract import Store
from agentflow.testing.clock import FakeClock

LIMIT = 60
"""Seconds after which a wait of a test has failed."""
SKILLS = ("native:python", "native:shell", "native:network")


@dataclass(frozen=True)
class Done:
    """What became of a run, all of it read before the engine closed."""

    run: Run
    states: dict[str, str]
    """Address → state of each step; top-level ones that were never reached are `submitted`."""
    reasons: dict[str, str | None]
    """Address → reason of its state."""
    tries: dict[str, int]
    """Address → how often it was tried."""
    errors: dict[str, Mapping[str, Any]]
    """Address → the failure's data."""
    results: dict[str, Any]
    """Address → result, of steps that have one."""
    events: list[Event]
    waits: list[WaitView]
    """Open waits."""

    @property
    def state(self) -> str:
        """The run's state."""
        return self.run.state

    @property
    def output(self) -> Any:
        """The run's output."""
        return self.run.output

    def steps_of(self, kind: str) -> list[str | None]:
        """Return the steps of the events of one type, in order."""
        return [event.step for event in self.events if event.type == kind]

    def kinds(self) -> list[str]:
        """Return the types of all events, in order."""
        return [event.type for event in self.events]


@dataclass
class Lab:
    """Makes workflows and engines. `lab.call` lets a step call any function, a closure of the test too."""

    clock: FakeClock
    always_replay: bool
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    wire: bool = False

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
            "wire": self.wire,
            "grace": 0.0,
            **options,
        }
        async with Engine.open(store, config=made, functions=self.functions, **settings) as engine:
            yield engine

    async def run(
        self, *steps: Step, input: Any = None, options: Mapping[str, Any] | None = None, **fields: Any
    ) -> Done:
        """Run a workflow of some steps until it has ended or only waits, and tell what became of it."""
        async with self.open(self.workflow(*steps, **fields), **(options or {})) as engine:
            return await self.finish(engine, await engine.start(fields.get("id", "main"), input))

    async def finish(self, engine: Engine, run: Run) -> Done:
        """Wait until a run has ended or only waits, and tell what became of it."""
        with anyio.fail_after(LIMIT):
            await engine.wait(run.id)
            return await self.look(engine, run.id)

    async def look(self, engine: Engine, run_id: str) -> Done:
        """Tell what a run is like now."""
        run = await engine.get(run_id)
        rows = await engine.steps(run_id)
        top = (
            engine.core.env.catalog.current[run.workflow].workflow.steps
            if run.workflow in engine.core.env.catalog.current
            else ()
        )
        states: dict[str, str] = {step.id: "submitted" for step in top}
        states.update({row.address: row.state for row in rows})
        events = await engine.store.events(run_id, 0, 100_000, False)
        return Done(
            run=run,
            states=states,
            reasons={row.address: row.reason for row in rows},
            tries={row.address: row.tries for row in rows},
            errors={row.address: _decoded(row.error) for row in rows if row.error},
            results={row.address: _decoded(row.result) for row in rows if row.result is not None},
            events=list(events),
            waits=await engine.waits(run_id),
        )


async def until(engine: Engine, run_id: str, kind: str, step: str | None = None) -> Event:
    """Return the first event of a type (and of a step) in a run's log, waiting for it."""
    with anyio.fail_after(LIMIT):
        async for event in engine.subscribe(run_id):
            if event.type == kind and (step is None or event.step == step):
                return event
    raise AssertionError(f"the run ended without {kind} of {step}")


def _decoded(raw: bytes) -> Any:

    return decode(raw)
