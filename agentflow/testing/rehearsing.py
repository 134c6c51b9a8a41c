"""Goes through a workflow with what was recorded instead of what its steps would call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from pydantic import BaseModel

from agentflow.config import Config
from agentflow.definition.json_schema import errors_of, make_validator
from agentflow.definition.models import Body, Step, Workflow
from agentflow.engine import Engine, Run
from agentflow.engine.catalog import Catalog
from agentflow.engine.compiling import register
from agentflow.errors import AgentflowError, StepError
from agentflow.requirements import Checker
from agentflow.steps import registry
from agentflow.steps.contract import Context, Execute, Outcome, Result, StepType
from agentflow.steps.unset import UNSET
from agentflow.testing.clock import FakeClock
from agentflow.testing.recording import RecordedStep, Recording, read

_MOST = 100_000
"""Steps after which a rehearsal is broken off: it goes round for ever."""
_ITS_OWN = frozenset({"end"})
"""Types that only tell the engine something."""


@dataclass(slots=True)
class Rehearsal:
    """What a workflow did with what was recorded."""

    run: Run[Any] | None = None
    """None: the input doesn't fit any more."""
    refused: str | None = None
    """Why it doesn't."""
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    """Address → what the step was given, in the order in which they were started."""
    unknown: list[str] = field(default_factory=list[str])
    """Steps that nothing was recorded of: their result is taken to be null."""
    misfits: dict[str, str] = field(default_factory=dict[str, str])
    """Waits whose recorded answer doesn't fit → why."""
    states: dict[str, str] = field(default_factory=dict[str, str])
    """Address → state, with its reason."""


async def rehearse(
    recording: Recording, workflow: Workflow, called: Iterable[Workflow], config: Config, results: Mapping[str, Any]
) -> Rehearsal:
    """Run a workflow with the recorded input, results and answers.

    Args:
        recording: what is given to its steps.
        workflow: the workflow.
        called: those that it calls.
        config: for values of `env`, and the like.
        results: of steps that nothing was recorded of, by address.
    """
    found = Rehearsal()
    bare = replace(config, workflows={}, parsed={}, sources={}, connections={})
    async with Engine.open(":memory:", config=bare, clock=FakeClock(recording.created_at), grace=0.0) as engine:
        stage = _Stage(recording, results, found, engine)
        env = engine.core.env
        env.types = stage.type
        env.catalog = Catalog(read, stage.type)
        env.checker = Checker({}, python=True)
        for each in called:
            if each.id != workflow.id:
                register(env, _bare(each), bare)
        register(env, _bare(workflow), bare)
        try:
            run = await engine.start(workflow.id, recording.input, entry_point=recording.entry_point)
        except AgentflowError as error:
            found.refused = error.what
            return found
        with anyio.move_on_after(60):
            found.run = await engine.wait(run.id)
        if found.run is None or not found.run.ended:
            await engine.cancel(run.id, force=True)
            found.run = await engine.get(run.id)
        await stage.look(run.id, "")
    return found


def _bare(workflow: Workflow) -> Workflow:
    """Return a workflow whose steps need nothing: nothing is called."""
    lists = {name: _all(getattr(workflow, name)) for name in ("steps", "on_success", "on_failure", "finally_")}
    return workflow.model_copy(update=lists)


def _all(steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(_one(step) for step in steps)


def _one(step: Step) -> Step:
    changes: dict[str, Any] = {"requires": (), "concurrency": None, "at_most_once": False}
    changes |= {name: None for name in ("approve", "review") if name in Step.model_fields}
    changes |= {name: _all(getattr(step, name)) for name in ("on_success", "on_failure", "finally_")}
    changes["bodies"] = {key: _body(body) for key, body in step.bodies.items()}
    if step.compensate is not None:
        changes["compensate"] = _body(step.compensate)
    return step.model_copy(update=changes)


def _body(body: Body) -> Body:
    return body.model_copy(update={"steps": _all(body.steps)})


class _Stage:
    """Gives each step what was recorded of it."""

    def __init__(self, recording: Recording, results: Mapping[str, Any], found: Rehearsal, engine: Engine) -> None:
        self._recording = recording
        self._results = results
        self._found = found
        self._engine = engine
        self._types: dict[str, StepType] = {}
        self._paths: dict[str, str] = {}
        self._times: dict[str, int] = {}

    def type(self, name: str) -> StepType | None:
        """Return a step type that does nothing but give what was recorded; containers and what computes stay."""
        known = self._types.get(name)
        if known is not None:
            return known
        spec = registry.find(name)
        if spec is None:
            return None
        if spec.container is None:
            execute = self._computing(spec.execute) if spec.pure and spec.execute else self._recorded
            spec = replace(
                spec, execute=execute, prompt=None, skills=(), unsafe=False, turns=False, pure=False, reap=None,
                withdraw=None, timeout=None, whole_timeout=False,
            )  # fmt: skip
        else:
            spec = replace(spec, skills=())
        self._types[name] = spec
        return spec

    def _computing(self, execute: Execute) -> Execute:
        async def compute(config: BaseModel, ctx: Context) -> Outcome:
            await self._enter(config, ctx)
            return await execute(config, ctx)

        return compute

    async def _enter(self, config: BaseModel, ctx: Context) -> str:
        path = await self._path(ctx.run_id)
        address = path + ctx.address
        self._found.inputs.setdefault(address, config.model_dump(mode="json", by_alias=True, exclude_unset=True))
        self._times[address] = self._times.get(address, 0) + 1
        if len(self._found.inputs) > _MOST:
            await self._engine.cancel(ctx.run_id, force=True)
        return address

    async def _recorded(self, config: BaseModel, ctx: Context) -> Outcome:
        """Give what was recorded."""
        address = await self._enter(config, ctx)
        if address in self._results:
            return Result(self._results[address])
        step = self._recording.steps.get(address)
        if step is not None and step.state == "completed":
            self._fit(address, config, step)
            return Result(None if step.result is UNSET else step.result)
        if step is not None and step.state == "failed" and step.error is not None:
            error, spent = step.error, self._times[address] >= step.tries
            raise StepError(
                error.message, code=error.code, kind=error.kind, retryable=error.retryable and not spent,
                why=error.why, hint=error.hint, data=error.data,
            )  # fmt: skip
        if address not in self._found.unknown:
            self._found.unknown.append(address)
        return Result(None)

    def _fit(self, address: str, config: BaseModel, step: RecordedStep) -> None:
        schema = getattr(config, "schema_", None) or config.model_dump(by_alias=True).get("schema")
        if isinstance(schema, Mapping) and step.result is not UNSET:
            misfits = errors_of(make_validator(schema), step.result)  # pyright: ignore[reportUnknownArgumentType]  a schema
            if misfits:
                self._found.misfits[address] = "; ".join(misfits)

    async def _path(self, run_id: str) -> str:
        """Return what the addresses of a run begin with: the step that started it, and `>`."""
        known = self._paths.get(run_id)
        if known is None:
            row = await self._engine.store.get_run(run_id)
            known = ""
            if row is not None and row.parent_id is not None:
                above = await self._path(row.parent_id)
                steps = await self._engine.store.list_steps(row.parent_id)
                known = above + next((f"{step.address}>" for step in steps if step.n == row.parent_step), ">")
            self._paths[run_id] = known
        return known

    async def look(self, run_id: str, prefix: str) -> None:
        """Note what became of all steps."""
        for step in await self._engine.store.list_steps(run_id):
            text = f"{step.state} ({step.reason})" if step.reason else step.state
            self._found.states[prefix + step.address] = text
            child = await self._engine.store.get_run(step.task) if step.task else None
            if child is not None and child.parent_id == run_id:
                await self.look(child.id, f"{prefix}{step.address}>")
