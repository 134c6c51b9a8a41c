"""Retrying a run from a step: a new run that keeps what doesn't follow from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agentflow.data import decode, encode, is_object
from agentflow.definition.models import EntryPoint
from agentflow.engine import mending
from agentflow.engine.marks import ROOT
from agentflow.engine.plan import order, shared
from agentflow.engine.program import Program
from agentflow.engine.restore import restore
from agentflow.engine.starting import create, pinned, prepare_input
from agentflow.engine.state import Node, RunState, Scope
from agentflow.engine.views import RetryPlan
from agentflow.errors import ConflictError, NotFoundError
from agentflow.steps.contract import UNSET
from agentflow.store.loaded import LoadedTree
from agentflow.store.rows import (
    TERMINAL,
    NewRun,
    RunChange,
    RunRow,
    SharedRow,
    StepRow,
)
from agentflow.unfit import UnfitError

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
    pins: dict[str, str]
    """Hashes of the workflows that it calls, by id."""
    called: list[Program]
    """These workflows: the run that it retries may be purged before the new one is there."""


async def plan(core: Core, run_id: str, from_step: str | None, given: Any, *, new_definition: bool = False) -> Plan:
    """Work out a retry.

    Args:
        core: the engine's.
        run_id: which run.
        from_step: where it begins; None: with what failed.
        given: other input, or `UNSET`.
        new_definition: by the definition that its workflow has now, rather than by that of the run.

    Raises:
        NotFoundError: no such run, step, workflow or entry point.
        ConflictError: the run hasn't ended, or another run started it.
        InputError: the input doesn't fit.
    """
    row = await _ended(core, run_id)
    before = await core.learned(row.definition)
    program = _current(core, row) if new_definition else before
    mended = program is not before and program.digest != before.digest
    pins = dict(pinned(core, program)) if new_definition else dict(row.pins)
    changed = mending.changed(core, before, program, row.pins, pins) if new_definition else []
    mended = mended or bool(changed)
    rows, lost = await core.store.salvage_steps(run_id)
    top = {r.address: r for r in rows if "/" not in r.address and "[" not in r.address and "#" not in r.address}
    start = _top_step(from_step) if from_step is not None else _first_failed(program, rows, top)
    if mended and from_step is None and start not in program.root.bodies["steps"].index:
        start = None  # it isn't there any more
    damaged = _damaged(program, rows, lost)
    if start is None and damaged:
        start = damaged[0]
    follow = _following(program, start, [*changed, *damaged], everything=not mended)
    keep = _kept_ids(program, top, follow, entered=_entry(before, row) == _entry(program, row))
    old = await _restored(core, row, keep)
    kept = {name: _with_result(old, top[name]) for name in keep}
    declared = program.workflow.context
    shared = [u for u in old.shared.updates if _top_step(u.address) in kept and (not mended or u.key in declared)]
    before_input = decode(row.input)
    value = before_input if given is UNSET else given
    if given is not UNSET or mended:
        known = before_input if is_object(before_input) else ()
        value = prepare_input(core.gate, program, value, known=known)
    view = _view(core, program, row, start, kept, top)
    changed = [name for name in changed if name not in kept]
    called = await core.callable(pins.values())
    view = replace(view, input=value, new_definition=mended, changed=changed, damaged=damaged)
    return Plan(view, row, program, value, kept, shared, pins, called)


async def _ended(core: Core, run_id: str) -> RunRow:
    """Return a root run that has ended."""
    row = await core.store.get_run(run_id)
    if row is None:
        raise NotFoundError(f'no run "{run_id}"', hint="agentflow runs list")
    if row.parent_id is not None:
        address = await _begun_by(core, row)
        raise ConflictError(
            f'run {run_id[-6:]} was started by step "{address}" of run {row.root_id[-6:]}, and is retried with it',
            code="AF-RUN-CHILD",
            hint=f"agentflow runs retry {row.root_id[-6:]} --from {_top_step(address)}",
        )
    if row.state not in TERMINAL:
        raise ConflictError(
            f"the run is {row.state}; only a run that has ended is retried", code="AF-RUN-ACTIVE",
            hint=f"agentflow runs cancel {run_id[-6:]}",
        )  # fmt: skip
    return row


async def _begun_by(core: Core, row: RunRow) -> str:
    """Return the address of the root run's step that a child run belongs to."""
    address = ""
    while row.parent_id is not None:
        steps, _ = await core.store.salvage_steps(row.parent_id)
        address = next((step.address for step in steps if step.n == row.parent_step), "")
        above = await core.store.get_run(row.parent_id)
        if above is None:
            break
        row = above
    return address


def _current(core: Core, row: RunRow) -> Program:
    """Return the definition that a run's workflow has now."""
    program = core.find_workflow(row.workflow)
    if program is None:
        known = ", ".join(list(core.current)[:8]) or "none"
        raise NotFoundError(
            f'the config has no workflow "{row.workflow}" any more', code="AF-WORKFLOW-UNKNOWN",
            hint=f"workflows here: {known}; without a new definition the run is retried by its old one",
        )  # fmt: skip
    if row.entry_point is not None and _entry(program, row) is None:
        raise NotFoundError(
            f'workflow "{row.workflow}" has no entry point "{row.entry_point}" any more', code="AF-ENTRY-UNKNOWN"
        )
    return program


def _entry(program: Program, row: RunRow) -> EntryPoint | None:
    return next((entry for entry in program.workflow.entry_points if entry.id == row.entry_point), None)


def _view(
    core: Core, program: Program, row: RunRow, start: str | None, kept: dict[str, StepRow], top: dict[str, StepRow]
) -> RetryPlan:
    again = [step for step in program.workflow.steps if step.id not in kept]
    return RetryPlan(
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
    )


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


def _damaged(program: Program, rows: Sequence[StepRow], lost: frozenset[int]) -> list[str]:
    """Return the top-level steps that have a damaged result, or hold a step that has one, in their order."""
    named = {_top_step(row.address) for row in rows if row.n in lost}
    return [step.id for step in program.workflow.steps if step.id in named]


def _following(program: Program, start: str | None, changed: Sequence[str], *, everything: bool) -> set[int]:
    """Return the steps that run again: what follows from `start` and from what has changed or is damaged.

    `everything` is meant where neither says where to begin.
    """
    body = program.root.bodies["steps"]
    if start is None and everything:
        return set(range(len(body.steps)))
    if start is not None and start not in body.index:
        raise NotFoundError(
            f'workflow "{program.workflow.id}" has no step "{start}"',
            code="AF-STEP-UNKNOWN",
            hint=f"its steps: {', '.join(list(body.index)[:12])}",
        )
    names = [*changed, *([start] if start is not None else [])]
    return order.reachable(_blank(program), *(body.index[name] for name in names))


def _kept_ids(program: Program, top: dict[str, StepRow], follow: set[int], *, entered: bool) -> list[str]:
    """Return the top-level steps that needn't run again and have ended well; compensated ones run again."""
    kept: list[str] = []
    for number, step in enumerate(program.workflow.steps):
        row = top.get(step.id)
        if row is None or number in follow or (row.reason == "entry_point" and not entered):
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
        id=core.new_id(), workflow=old.workflow, definition=plan.program.digest, input=encode(plan.input),
        created_at=core.now(), owner=old.owner, entry_point=old.entry_point, context_id=old.context_id,
        labels=dict(old.labels), door=old.door, message=old.start_message, retry_of=old.id, pins=dict(plan.pins),
    )  # fmt: skip
    if host.mode == "none":
        await _leave(core, new, plan)
    else:
        await create(core, host, new, plan.program, seed=_seed(plan))
    return new.id


async def _leave(core: Core, new: NewRun, plan: Plan) -> None:
    """Leave the new run with its kept steps to the process that takes it."""
    key = await core.store.new_key()
    number = plan.program.root.bodies["steps"].index
    new.state = "submitted"
    steps = [
        StepRow(
            key, number[name], name, row.state, row.reason,
            result=row.result, started_at=row.started_at, ended_at=row.ended_at,
        )
        for name, row in plan.kept.items()
    ]  # fmt: skip
    shared_rows = [row._replace(run=key) for row in plan.shared]
    await core.commit([RunChange(key, key, 0, create=new, steps=steps, shared=shared_rows)])


async def _restored(core: Core, row: RunRow, keep: Sequence[str]) -> RunState:
    """Return an ended run's state, rebuilt to read the steps that are kept; of a damaged run it has these alone."""
    loaded = await core.store.salvage_tree(row.root)
    found = next((run for run in loaded.runs if run.row.run == row.run), None) if loaded is not None else None
    if loaded is None or found is None:
        raise NotFoundError(f'no run "{row.id}"', hint="agentflow runs list")
    if loaded.damaged:
        found = replace(found, steps=[step for step in found.steps if _top_step(step.address) in keep])
    alone = LoadedTree(row.run, loaded.epoch, [found], [])
    return restore(core, alone, core.program).runs[row.run]


def _with_result(old: RunState, row: StepRow) -> StepRow:
    if row.result is not None or row.state != "completed":
        return row
    body = (old.root.scopes or {})["steps"]
    try:
        result = encode(old.result_value(body.nodes[body.program.index[row.address]]))
    except UnfitError as error:  # a container's, put together from results that are each as deep as may be
        raise ConflictError(
            f'the result of step "{row.address}" can\'t be kept: {error}', code="AF-RESULT-INVALID",
            hint=f"agentflow runs retry {old.id[-6:]} --from {_top_step(row.address)}",
        ) from None  # fmt: skip
    return row._replace(result=result, memo=None)


def _seed(plan: Plan) -> Callable[[RunState], None]:
    """Return what fills the kept steps into the new run, before it begins."""

    def seed(run: RunState) -> None:
        run.seeds = plan.kept
        rows = [row._replace(run=run.key) for row in plan.shared]
        shared.refold(run, rows)
        run.changes().shared = rows

    return seed
