"""Retrying a run from a step: a new run that keeps what doesn't follow from it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentflow.data import decode, encode, is_object
from agentflow.definition.gates import calls_one_of
from agentflow.definition.models import EntryPoint, Step
from agentflow.engine.addresses import find
from agentflow.engine.commands import mending
from agentflow.engine.commands.kept import Choice, Kept, around, good
from agentflow.engine.commands.starting import create, prepare_input
from agentflow.engine.compiling import pinned
from agentflow.engine.host.core import Core
from agentflow.engine.host.host import Host
from agentflow.engine.locating import locate
from agentflow.engine.models import RetryPlan
from agentflow.engine.plan.carried import Folded
from agentflow.engine.plan.commands import Seed
from agentflow.engine.program import Program
from agentflow.engine.unreadable import read_failure
from agentflow.errors import ConflictError, NotFoundError
from agentflow.steps.unset import UNSET
from agentflow.store.rows import (
    TERMINAL,
    NewRun,
    RunChange,
    RunPatch,
    RunRow,
    SharedRow,
    StepRow,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A retry, worked out."""

    view: RetryPlan
    row: RunRow
    program: Program
    input: Any
    kept: dict[str, StepRow]
    """Steps that are kept, and containers that are in part, by address."""
    shared: list[SharedRow]
    """Updates of shared keys by kept steps."""
    folded: Folded
    """What reducers of the user's make of these."""
    response: StepRow | None
    """The last api_call that is kept."""
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
    before = await core.loader.learned(row.definition)
    program = _current(core, row) if new_definition else before
    mended = program is not before and program.digest != before.digest
    pins = dict(pinned(core.env, program)) if new_definition else dict(row.pins)
    changed = mending.changed(core.env.catalog, before, program, row.pins, pins) if new_definition else []
    mended = mended or bool(changed)
    rows, lost = await core.store.salvage_steps(run_id)
    target = None if from_step is None else find(program, from_step).address
    top = _top(program, rows)
    body = program.root.bodies["steps"]
    start = body.steps[_number(program, target)].id if target is not None else _first_failed(program, top)
    if mended and start not in body.index:
        start = None  # it isn't there any more
    damaged = _damaged(program, rows, lost)
    if start is None and damaged:
        start = damaged[0]
    redo = {body.index[name] for name in (*changed, *damaged)}
    if start is None and not mended:
        redo = set(range(len(body.steps)))
    entered = _entry(before, row) == _entry(program, row)
    usable = [r for r in rows if r.n not in lost and (entered or r.reason != "entry_point")]
    choice = Choice(core.env, row, program, usable, target)
    kept = choice.choose(redo, [] if start is None else [body.index[start]])
    updates = await _updates(core, row, kept.rows)
    declared = program.workflow.context
    before_input = decode(row.input)
    value = before_input if given is UNSET else given
    if given is not UNSET or mended:
        names = before_input if is_object(before_input) else ()
        value = prepare_input(core.env.gate, program, value, known=names)
    view = _view(program, row, kept, rows, core.env.services.gates)
    view = replace(view, from_step=target or _named(top, start))
    called = await core.loader.callable(pins.values())
    changed = [name for name in changed if name not in view.kept]
    view = replace(view, input=value, new_definition=mended, changed=changed, damaged=damaged)
    shared = [u for u in updates if not mended or u.key in declared]
    folded = await core.reducers.fold(program, shared)
    response = _last_response(program, kept.rows.values())
    return Plan(view, row, program, value, kept.rows, shared, folded, response, pins, called)


def _last_response(program: Program, rows: Iterable[StepRow]) -> StepRow | None:
    """Return the last api_call among steps that are kept."""
    found = [row for row in rows if row.result is not None and row.state == "completed"]
    asked = [row for row in found if _asks(program, row.address)]
    return max(asked, key=lambda row: (row.ended_order, row.ended_at or 0.0), default=None)


def _asks(program: Program, address: str) -> bool:
    step = locate(program.workflow, address)
    return step is not None and step.type == "api_call" and (not step.for_each or address.endswith("]"))


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
    program = core.env.find_workflow(row.workflow, row.agent)
    if program is None and row.agent not in core.env.agents:
        raise NotFoundError(
            f'workflow "{row.workflow}" is one of agent "{row.agent}", and this config is of agent "{core.env.agent}"',
            code="AF-WORKFLOW-UNKNOWN",
            hint=f"retry it by the config of that agent; if this one is meant, give it name: {row.agent}",
        )
    if program is None:
        known = ", ".join(list(core.env.catalog.current)[:8]) or "none"
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


def _view(program: Program, row: RunRow, kept: Kept, rows: Sequence[StepRow], gated: Collection[str]) -> RetryPlan:
    segments = program.root.bodies["steps"].segments
    again: list[Step] = []
    done: list[str] = []
    for step, segment in zip(program.workflow.steps, segments, strict=True):
        found = kept.rows.get(segment)
        if found is None or found.state not in TERMINAL:
            again.append(step)
        elif found.state == "completed":
            done.append(step.id)
    return RetryPlan(
        workflow=row.workflow,
        from_step=None,
        kept=done,
        again=[step.id for step in again],
        parts=kept.parts,
        asked=[step.id for step in again if _asks_somebody(step, gated)],
        unsafe=_unsafe(program, kept, rows),
    )


def _asks_somebody(step: Step, gated: Collection[str]) -> bool:
    """Tell whether a step, or one inside it, asks somebody; `gated`: tools that have to be approved."""
    if step.type in {"wait_for_input", "external_tool_call"} or step.approve is not None or step.review is not None:
        return True
    if gated and calls_one_of(step.type, step.config, gated):
        return True
    return any(_asks_somebody(inner, gated) for body in step.bodies.values() for inner in body.steps)


def _unsafe(program: Program, kept: Kept, rows: Sequence[StepRow]) -> list[str]:
    """Return the steps of every depth that have run and run again, and do something outside."""
    found: list[str] = []
    for row in rows:
        begun = row.attempt > 0 or row.state == "completed"
        if not begun or row.address in kept.rows or "#" in row.address:
            continue
        try:
            place = find(program, row.address)
        except NotFoundError:  # the new definition doesn't have it any more
            continue
        step = place.step.step
        if place.step.container is None and (step.at_most_once or (place.step.spec.unsafe and not _only_reads(step))):
            found.append(place.address)
    return found


def _only_reads(step: Step) -> bool:
    """Tell whether a step sends a request that by its method changes nothing."""
    return step.type == "api_call" and step.config.get("method", "GET") in ("GET", "HEAD", "OPTIONS")


def _top(program: Program, rows: Sequence[StepRow]) -> dict[str, StepRow]:
    """Return the rows of top-level steps by id."""
    body = program.root.bodies["steps"]
    ids = dict(zip(body.segments, body.index, strict=True))
    found = {r.address: r for r in rows if r.state != "submitted" and _top_step(r.address) == r.address}
    return {ids.get(address, address): r for address, r in found.items()}


def _top_step(address: str) -> str:
    head = address.partition("/")[0]
    return head.partition("[")[0].partition("#")[0]


def _number(program: Program, address: str) -> int:
    """Return the number of the top-level step that an address is in."""
    return program.root.bodies["steps"].segments.index(_top_step(address))


def _first_failed(program: Program, top: dict[str, StepRow]) -> str | None:
    failed = [name for name, r in top.items() if r.state == "failed"]
    if failed:
        return min(failed, key=lambda name: (top[name].ended_at or 0.0, top[name].n))
    canceled = [name for name, r in top.items() if r.state == "canceled" and not good(r)]
    if canceled:
        return min(canceled, key=lambda name: top[name].n)
    missing = [step.id for step in program.workflow.steps if step.id not in top]
    return missing[0] if missing else None


def _named(top: dict[str, StepRow], start: str | None) -> str | None:
    """Return where a retry begins by itself: what failed inside a step that holds others is named, rather than this."""
    row = top.get(start or "")
    failure = read_failure(row.error) if row is not None and row.state == "failed" else None
    place = failure.step if failure is not None else None
    inside = row is not None and place is not None and place.startswith((f"{row.address}/", f"{row.address}["))
    return place if inside else start


def _damaged(program: Program, rows: Sequence[StepRow], lost: frozenset[int]) -> list[str]:
    """Return the top-level steps that have a damaged result, or hold a step that has one, in their order."""
    named = {_top_step(row.address) for row in rows if row.n in lost}
    body = program.root.bodies["steps"]
    return [name for name, segment in zip(body.index, body.segments, strict=True) if segment in named]


async def start(core: Core, host: Host, plan: Plan) -> str:
    """Start the new run; returns its id."""
    old = plan.row
    new = NewRun(
        id=core.env.new_id(), workflow=old.workflow, definition=plan.program.digest, input=encode(plan.input),
        created_at=core.env.now(), owner=old.owner, tenant=old.tenant, agent=old.agent or core.env.agent,
        entry_point=old.entry_point, context_id=old.context_id, retention=old.retention,
        labels=dict(old.labels), door=old.door, message=old.start_message, retry_of=old.id, pins=dict(plan.pins),
    )  # fmt: skip
    if host.takeover.mode == "none" or new.agent not in core.env.agents:
        await _leave(core, new, plan)
    else:
        seed = Seed(list(plan.kept.values()), plan.shared, plan.folded, plan.response)
        await create(core, host, new, plan.program, seed)
    return new.id


async def _leave(core: Core, new: NewRun, plan: Plan) -> None:
    """Leave the new run with its kept steps to the process that takes it."""
    (key,) = await core.store.new_keys()
    new.state = "submitted"
    epoch = 1 if core.store.holder else 0  # who creates a tree has it, until it lets it go
    change = RunChange(key, key, epoch, create=new, steps=[row._replace(run=key) for row in plan.kept.values()])
    change.release = bool(core.store.holder)
    change.shared = [row._replace(run=key) for row in plan.shared]
    if plan.response is not None:
        change.patch = RunPatch(at=new.created_at, last_response=plan.response.n)
    await core.committer.write([change])


async def _updates(core: Core, row: RunRow, kept: dict[str, StepRow]) -> list[SharedRow]:
    """Return the updates of shared keys by steps that are kept; a kept step's hooks count with it."""
    loaded = await core.store.salvage_tree(row.root)
    found = next((run for run in loaded.runs if run.row.run == row.run), None) if loaded is not None else None
    if found is None:
        raise NotFoundError(f'no run "{row.id}"', hint="agentflow runs list")
    whole = {address for address, each in kept.items() if each.state in TERMINAL}

    def counts(address: str) -> bool:
        return address in whole or any(above in whole for above in around(address))

    return [update for update in found.shared if counts(update.address)]
