"""What is stored of a run, with all that it called: enough to go through it again without calling anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentflow.data import decode, encode
from agentflow.definition.models import Workflow
from agentflow.definition.parse import parse_workflow
from agentflow.engine import Engine
from agentflow.engine.unreadable import read_failure
from agentflow.errors import AgentflowError, Failure, NotFoundError
from agentflow.steps import registry
from agentflow.steps.unset import UNSET
from agentflow.store.rows import RunRow


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """What became of one step."""

    state: str
    tries: int
    result: Any = UNSET
    error: Failure | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A stored run: made by `record`, replayed by `replay`. `to_json` and `from_json` keep it as a file of a test."""

    workflow: str
    input: Any
    state: str
    output: Any
    entry_point: str | None
    created_at: float
    definition: Any
    """The definition that it ran by, as data."""
    called: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Those of the workflows that it called, by id."""
    steps: Mapping[str, RecordedStep] = field(default_factory=dict[str, RecordedStep])
    """By address; those of a run that step "a" has started stand under `a>`."""

    def to_json(self) -> bytes:
        """Return it as JSON."""
        steps = {name: _step_data(step) for name, step in self.steps.items()}
        names = ("workflow", "input", "state", "output", "entry_point", "created_at", "definition", "called")
        return encode({**{name: getattr(self, name) for name in names}, "steps": steps})

    @classmethod
    def from_json(cls, raw: bytes | str) -> Recording:
        """Read one back."""
        data: dict[str, Any] = decode(raw.encode() if isinstance(raw, str) else raw)
        steps = {name: _step_of(step) for name, step in data.pop("steps").items()}
        return cls(**data, steps=steps)

    @property
    def original(self) -> tuple[Workflow, list[Workflow]]:
        """The workflow that it ran by, and those that it called."""
        return read(self.definition), [read(each) for each in self.called.values()]


async def record(engine: Engine, run_id: str) -> Recording:
    """Return what a store has of a run, and of the runs that its steps started.

    Args:
        engine: an open engine, `h.engine` of a harness.
        run_id: the run.

    Raises:
        NotFoundError: there is no such run.
    """
    row = await engine.store.get_run(run_id)
    if row is None:
        raise NotFoundError(f'no run "{run_id}"', hint="agentflow runs list")
    steps: dict[str, RecordedStep] = {}
    called: dict[str, Any] = {}
    await _gather(engine, row, "", steps, called)
    run = await engine.get(run_id)
    definition = await _definition(engine, row)
    return Recording(
        row.workflow, run.input, run.state, run.output, row.entry_point, row.created_at, definition, called, steps
    )


async def _gather(
    engine: Engine, row: RunRow, prefix: str, steps: dict[str, RecordedStep], called: dict[str, Any]
) -> None:
    for name, digest in row.pins.items():
        raw = await engine.store.get_definition(digest)
        if raw is not None:
            called.setdefault(name, decode(raw))
    for step in await engine.store.list_steps(row.id):
        result = decode(step.result) if step.result else UNSET
        error = read_failure(step.error)
        steps[prefix + step.address] = RecordedStep(step.state, max(step.tries, 1), result, error)
        child = await engine.store.get_run(step.task) if step.task else None
        if child is not None and child.parent_id == row.id:
            called.setdefault(child.workflow, await _definition(engine, child))
            await _gather(engine, child, f"{prefix}{step.address}>", steps, called)


async def _definition(engine: Engine, row: RunRow) -> Any:
    raw = await engine.store.get_definition(row.definition)
    if raw is None:
        raise NotFoundError(f'the definition of run "{row.id}" isn\'t in the store', code="AF-WORKFLOW-UNKNOWN")
    return decode(raw)


def read(data: Any) -> Workflow:
    """Return a definition as a workflow."""
    parsed = parse_workflow(data, registry.find)
    if parsed.workflow is None:
        told = "; ".join(problem.message for problem in parsed.problems)
        raise AgentflowError(f"the definition of the recording can't be read: {told}", code="AF-STORE-DAMAGED")
    return parsed.workflow


def _step_data(step: RecordedStep) -> dict[str, Any]:
    data: dict[str, Any] = {"state": step.state, "tries": step.tries}
    if step.result is not UNSET:
        data["result"] = step.result
    if step.error is not None:
        data["error"] = step.error.to_data()
    return data


def _step_of(data: Mapping[str, Any]) -> RecordedStep:
    error = data.get("error")
    failure = Failure.from_data(error) if error is not None else None
    return RecordedStep(data["state"], data["tries"], data.get("result", UNSET), failure)
