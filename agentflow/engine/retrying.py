"""Retrying a run from a step: a new run that keeps what doesn't follow from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentflow.data import decode, encode
from agentflow.engine.plan import order, shared
from agentflow.engine.program import Program
from agentflow.engine.restore import restore
from agentflow.engine.starting import create, prepare_input
from agentflow.engine.state import ROOT, Node, RunState, Scope
from agentflow.engine.views import RetryPlan
from agentflow.errors import ConflictError, NotFoundError
from agentflow.steps.contract import UNSET
from agentflow.store.rows import (
    TERMINAL,
    LoadedTree,
    NewRun,
    RunRow,
    SharedRow,
    StepRow,
)

if TYPE_CHECKING:
    from agentflow.engine.core import Core
    from agentflow.engine.host import Host

_KEPT_REASONS = frozenset({"condition", "entry_point", "branch", "tolerated", "operator"})


@dataclass(frozen=True, slots=True)
class Plan:
    """A retry, worked out."""

    view: RetryPlan
    row: RunRow
    program: Program
    input: Any
    kept: dict[str, StepRow]
    """Top-level steps that are kept, by id; a container's result is assembled in its row."""
    shared: list[SharedRow]
    """Updates of shared keys by kept steps."""


async def plan(core: Core, run_id: str, from_step: str | None, given: Any) -> Plan:
    """Work out a retry.

    Raises:
        NotFoundError: no such run or step.
        ConflictError: the run hasn't ended.
        InputError: the new input doesn't fit.
    """
    row = await core.store.get_run(run_id)
    if row is None:
        raise NotFoundError(f'no run "{run_id}"', hint="agentflow runs list")
    if row.state not in TERMINAL:
        raise ConflictError(
            f"the run is {row.state}; only a run that has ended is retried", code="AF-RUN-ACTIVE",
            hint=f"agentflow runs cancel {run_id[-6:]}",
        )  # fmt: skip
    raw = await core.store.get_definition(row.definition)
    program = core.learn(row.definition, raw)
    rows = await core.store.list_steps(run_id)
    top = {r.address: r for r in rows if "/" not in r.address and "[" not in r.address and "#" not in r.address}
    start = _top_step(from_step) if from_step is not None else _first_failed(program, rows, top)
    keep = _kept_ids(program, top, start)
    old = await _restored(core, row)
    kept = {name: _with_result(old, top[name]) for name in keep}
    shared = [update for update in old.shared.updates if _top_step(update.address) in kept]
    value = decode(row.input) if given is UNSET else prepare_input(program, given, core.limits.input_size)
    again = [step for step in program.workflow.steps if step.id not in kept]
    view = RetryPlan(
        workflow=row.workflow,
        from_step=start,
        kept=[name for name, r in kept.items() if r.state == "completed"],
        again=[step.id for step in again],
        asked=[step.id for step in again if step.type in {"wait_for_input", "external_tool_call"}],
        unsafe=[
            step.id
            for step in again
            if step.id in top and (step.at_most_once or getattr(core.types(step.type), "unsafe", False))
        ],
        input=value,
    )
    return Plan(view, row, program, value, kept, shared)


def _top_step(address: str) -> str:
    head = address.partition("/")[0]
    return head.partition("[")[0].partition("#")[0]


def _first_failed(program: Program, rows: list[StepRow], top: dict[str, StepRow]) -> str | None:
    failed = [r for r in rows if r.state == "failed" and r.address in top]
    if failed:
        return min(failed, key=lambda r: (r.ended_at or 0.0, r.n)).address
    canceled = [r for r in rows if r.address in top and r.state == "canceled" and r.reason not in _KEPT_REASONS]
    if canceled:
        return min(canceled, key=lambda r: r.n).address
    missing = [step.id for step in program.workflow.steps if step.id not in top]
    return missing[0] if missing else None


def _kept_ids(program: Program, top: dict[str, StepRow], start: str | None) -> list[str]:
    """Return the top-level steps that don't follow from `start` and have ended well; compensated ones run again."""
    body = program.root.bodies["steps"]
    if start is None:
        follow: set[int] = set(range(len(body.steps)))
    elif start not in body.index:
        raise NotFoundError(
            f'workflow "{program.workflow.id}" has no step "{start}"',
            code="AF-STEP-UNKNOWN",
            hint=f"its steps: {', '.join(list(body.index)[:12])}",
        )
    else:
        follow = order.reachable(_blank(program), body.index[start])
    kept: list[str] = []
    for number, step in enumerate(body.steps):
        row = top.get(step.id)
        if row is None or number in follow:
            continue
        if (row.state == "completed" and row.reason is None) or (
            row.state == "canceled" and row.reason in _KEPT_REASONS
        ):
            kept.append(step.id)
    return kept


def _blank(program: Program) -> Scope:
    return Scope(Node(None, 0, program.root, ROOT, ""), program.root.bodies["steps"], "", body="steps")


async def start(core: Core, host: Host, plan: Plan) -> str:
    """Start the new run; returns its id."""
    old = plan.row
    new = NewRun(
        id=core.new_id(), workflow=old.workflow, definition=old.definition, input=encode(plan.input),
        created_at=core.now(), owner=old.owner, entry_point=old.entry_point, context_id=old.context_id,
        labels=dict(old.labels), door=old.door, message=old.start_message, retry_of=old.id, pins=dict(old.pins),
    )  # fmt: skip
    await create(core, host, new, plan.program, seed=_seed(plan))
    return new.id


async def _restored(core: Core, row: RunRow) -> RunState:
    """Return an ended run's state, rebuilt to be read."""
    loaded = await core.store.load(row.root)
    found = next((run for run in loaded.runs if run.row.run == row.run), None) if loaded is not None else None
    if loaded is None or found is None:
        raise NotFoundError(f'no run "{row.id}"', hint="agentflow runs list")
    alone = LoadedTree(row.run, loaded.epoch, [found], [])
    return restore(core, alone, core.program).runs[row.run]


def _with_result(old: RunState, row: StepRow) -> StepRow:
    if row.result is not None or row.state != "completed":
        return row
    body = (old.root.scopes or {})["steps"]
    return row._replace(result=encode(old.result_value(body.nodes[body.program.index[row.address]])), memo=None)


def _seed(plan: Plan) -> Callable[[RunState], None]:
    """Return what fills the kept steps into the new run, before it begins."""

    def seed(run: RunState) -> None:
        run.seeds = plan.kept
        for update in plan.shared:
            row = update._replace(run=run.key)
            shared.fold(run, row, decode(row.value))
            run.changes().shared.append(row)

    return seed
