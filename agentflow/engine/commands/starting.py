"""Starting runs: find and check, validate the input, keep to the idempotency key, commit with the first claims."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from agentflow.data import canonical, digest, encode, is_object
from agentflow.definition.inputs import undeclared
from agentflow.definition.models import EntryPoint, Workflow
from agentflow.engine.commands.preflight import refuse_lacks
from agentflow.engine.compiling import pinned, program_of
from agentflow.engine.gate import BESIDE, INPUT, Gate
from agentflow.engine.host.core import Core
from agentflow.engine.host.host import Host
from agentflow.engine.host.stored import stored_row
from agentflow.engine.plan.commands import Begin, Seed
from agentflow.engine.plan.state import RunState, Tree
from agentflow.engine.program import Program
from agentflow.errors import ConflictError, InputError, NotFoundError
from agentflow.principal import LOCAL, Principal
from agentflow.store.rows import (
    NewRun,
    RunChange,
    RunRow,
)

if TYPE_CHECKING:
    from agentflow.config import Config


_FINE = (None, "", LOCAL.owner, "api")
"""What most runs are given beside their input."""


class Request(NamedTuple):
    """What a caller asks to start."""

    workflow: str | Workflow
    input: Any
    entry_point: str | None
    context_id: str | None
    principal: Principal
    idempotency_key: str | None
    message: Mapping[str, Any] | None
    labels: Mapping[str, str]
    door: str
    retention: float | None = None


def _entry(workflow: Workflow, name: str | None, given: Any) -> EntryPoint | None:
    if name is None:
        return None
    entry = next((e for e in workflow.entry_points if e.id == name), None)
    if entry is None:
        near = get_close_matches(name, [e.id for e in workflow.entry_points], 1)
        hint = f'did you mean "{near[0]}"?' if near else None
        raise NotFoundError(f"Entry point '{name}' not found", code="AF-ENTRY-UNKNOWN", hint=hint)
    missing = [key for key in entry.required_inputs if not is_object(given) or given.get(key) is None]
    if missing:
        raise InputError(
            f'Input validation failed: entry point "{name}" needs {", ".join(missing)}',
            hint="give them with --input KEY=VALUE",
        )
    return entry


def prepare_input(
    gate: Gate, program: Program, given: Any, entry: EntryPoint | None = None, *, known: Collection[str] = ()
) -> Any:
    """Return a valid input, defaults filled in.

    An entry point in the middle doesn't ask for inputs that only the steps it leaves out need.

    Args:
        gate: admits the value.
        program: what is started.
        given: the input as it came.
        entry: where it starts.
        known: names that are fine though they aren't declared: a run had them before.

    Raises:
        InputError: it doesn't fit.
    """
    value = gate.data(given, INPUT)
    unknown = undeclared(program.workflow, value, known)
    if unknown is not None:
        raise InputError(
            f"Input validation failed: {unknown.message}", code="AF-INPUT-UNKNOWN", hint=unknown.hint,
            why="nothing was started",
        )  # fmt: skip
    schema = program.workflow.input_schema
    if schema is not None and is_object(value):
        properties = schema.get("properties")
        if is_object(properties):
            defaults = {k: p["default"] for k, p in properties.items() if is_object(p) and "default" in p}
            value = {**{k: v for k, v in defaults.items() if k not in value}, **value}
            gate.encoded(value, INPUT)
    check = program.input_validator
    problems = check(value) if check is not None else []
    if entry is not None and entry.starts_at is not None:
        problems = [text for text in problems if "is a required property" not in text]
    if problems:
        raise InputError("Input validation failed: " + "; ".join(problems), data={"problems": problems})
    return value


async def start(core: Core, host: Host, config: Config, request: Request) -> RunRow | str:
    """Start a run, or find the one that its idempotency key names; returns its row or its id."""
    if host.takeover.mode != "none" and not core.slots.stopping:
        await core.admission.enter()
    if core.slots.stopping:
        raise ConflictError("the engine is shutting down and starts nothing more", code="AF-SHUTTING-DOWN")
    _check_beside(core.env.gate, request)
    program = program_of(core.env, config, request.workflow)
    entry = _entry(program.workflow, request.entry_point, request.input)
    value = prepare_input(core.env.gate, program, request.input, entry)
    if program.workflow.preflight == "strict":
        await refuse_lacks(core.env, config, program, request.principal)
    workflow = program.workflow
    print_: str | None = None
    if request.idempotency_key is not None:
        print_ = digest(canonical([workflow.id, request.entry_point, value]))
        known = await _known(core, request, workflow.id, print_)
        if known is not None:
            return known
    run_id = core.env.new_id()
    new = NewRun(
        id=run_id, workflow=workflow.id, definition=program.digest, input=encode(value), created_at=core.env.now(),
        owner=request.principal.owner, tenant=request.principal.tenant, agent=core.env.agent,
        entry_point=request.entry_point, context_id=request.context_id, retention=request.retention,
        idempotency_key=request.idempotency_key, fingerprint=print_, labels=dict(request.labels), door=request.door,
        message=encode(dict(request.message)) if request.message is not None else None,
        message_id=message_id_of(request.message), pins=pinned(core.env, program),
    )  # fmt: skip
    created = await create(core, host, new, program)
    if not created:
        known = await _known(core, request, workflow.id, print_)
        if known is not None:
            return known
        raise ConflictError("the run could not be created: it exists already")
    return run_id if created is True else created


def _check_beside(gate: Gate, request: Request) -> None:
    """Refuse what no store can keep: it would be in the way of the runs that are committed together with this one."""
    who = request.principal
    for text in (request.context_id, who.owner, who.tenant, request.idempotency_key, request.door):
        if text not in _FINE:
            gate.encoded(text, BESIDE)
    if request.labels:
        gate.encoded(dict(request.labels), BESIDE)
    if request.message:
        gate.encoded(dict(request.message), BESIDE)


def message_id_of(message: Mapping[str, Any] | None) -> str | None:
    """Return the id of a message, if it has one."""
    name = message.get("messageId") if message is not None else None
    return name if isinstance(name, str) else None


async def _known(core: Core, request: Request, workflow: str, print_: str | None) -> str | None:
    key, who = request.idempotency_key, request.principal
    if key is None:
        return None
    known = await core.store.find_idempotent(who.tenant, who.owner, core.env.agent, workflow, key)
    if known is None:
        return None
    if known.fingerprint != print_:
        raise ConflictError(
            f'the idempotency key "{key}" was used with other input', code="AF-KEY-CONFLICT", data={"run_id": known.id}
        )
    return known.id


async def create(core: Core, host: Host, new: NewRun, program: Program, seed: Seed | None = None) -> RunRow | bool:
    """Commit a new root run; False when it exists already. `seed` fills in kept steps before it begins.

    Returns:
        Its row where this process begins it, else whether it was created.
    """
    (key,) = await core.store.new_keys()
    if host.takeover.mode == "none":
        new.state = "submitted"
        change = RunChange(key, key, 0, create=new)
        refused = await core.committer.write([change])
        return not refused

    tree = Tree(core.env, key, 1)
    state = RunState(tree, new, key, program, None)
    tree.runs[key] = state
    tree.programs = [core.env.program(name) for name in new.pins.values()]
    state.changes().create = new
    core.cache.adopt(tree)
    done = core.mailbox.ask(key, Begin(seed))
    await done.wait()
    return done.held and (stored_row(state, core.store.holder if key in core.cache.trees else None) or True)
