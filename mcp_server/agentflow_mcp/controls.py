"""The tools that look after runs: with them alone a client finishes any workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentflow.data import parse
from agentflow.engine import Answer, Decline, Engine, Run, WaitView
from agentflow.engine.commands.answers import find
from agentflow.engine.finding import task_of
from agentflow.engine.models import wait_view
from agentflow.errors import InputError, NotFoundError
from agentflow.principal import Principal
from agentflow.store.rows import RunQuery, State
from agentflow_mcp.caller import Caller
from agentflow_mcp.catalogue import Tool
from agentflow_mcp.desk import Control
from agentflow_mcp.documents import STATUSES, is_asked, is_human_only, run_data
from agentflow_mcp.following import Follower
from agentflow_mcp.questions import DOOR
from agentflow_mcp.replies import reply_of
from agentflow_mcp.results import Result, plain, refused
from agentflow_mcp.schemas import RUN, RUNS, STATUS, WAITS

LONGEST = 50
"""Seconds that one wait_workflow takes at most: clients give calls a minute."""
USUAL = 25
LISTED = 20
MOST = 100
ENDING = 5.0
"""Seconds that a cancelled run is given to end before its state is told."""
_TASK = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "description": "The run's task_id, or that of one of its waits.",
}


async def run_named(engine: Engine, task_id: str, principal: Principal) -> Run:
    """Return the run that an id names, its own or that of one of its waits.

    Raises:
        NotFoundError: there is none, or it is somebody else's.
    """
    view = await task_of(engine.store, task_id, principal)
    try:
        return await engine.get(task_id if view is None else view.root_id, principal=principal)
    except NotFoundError:
        raise NotFoundError(f'no run and no wait "{task_id}"') from None


async def wait_named(engine: Engine, task_id: str, principal: Principal, message_id: str | None) -> WaitView:
    """Return the wait that an id names, and an answer by it is for.

    Raises:
        NotFoundError: there is no such wait and no such run.
        ConflictError: it is a run's, which has no open wait, or several.
    """
    try:
        return wait_view(engine.connections.shown(await find(engine.store, task_id, principal, message_id)))
    except NotFoundError:
        raise NotFoundError(f'no run and no wait "{task_id}"') from None


async def resume(follower: Follower, arguments: Mapping[str, Any], caller: Caller) -> Result:
    """Answer a wait, and follow its run."""
    task_id, reply = arguments["task_id"], reply_of(arguments)
    view = await wait_named(follower.engine, task_id, caller.principal, arguments.get("message_id"))
    if not is_asked(view):
        raise InputError(
            f'step "{view.step}" waits for something from elsewhere ({view.kind}), not for an answer',
            code="AF-WAIT-INVALID", why=view.message, hint="call wait_workflow later",
        )  # fmt: skip
    about = {"task_id": task_id, "waiting_for": [follower.wait_told(view, caller.principal)]}
    if view.connection is not None and isinstance(reply, Answer):
        return refused(_signing_in(view), about)
    if is_human_only(view) and view.connection is None:
        what = f'step "{view.step}" waits for a person\'s own answer: no model gives it'
        return refused(InputError(what, code="AF-WAIT-HUMAN"), about)
    try:
        done = await _resume(follower.engine, view.id, arguments.get("message_id"), reply, caller.principal)
    except InputError as error:
        return refused(error, about)
    try:
        run = await follower.engine.get(done.root_id, principal=caller.principal)
    except NotFoundError:  # who may answer a wait needn't see its run
        return plain({"task_id": done.id, "workflow": done.workflow, "message": "answered"})
    return await follower.followed(run, caller, follower.hold_of(run.workflow), document=True)


def _signing_in(view: WaitView) -> InputError:
    where = "give the user the address `url`" if view.url else f"by `agentflow connections login {view.connection}`"
    return InputError(
        f'step "{view.step}" waits until a person has signed in to {view.connection}: no answer does that',
        code="AF-WAIT-HUMAN", why="the wait is still open",
        hint=f"{where}, then call wait_workflow; or refuse: resume_workflow with decline",
    )  # fmt: skip


async def _resume(
    engine: Engine, wait_id: str, message_id: str | None, reply: Answer | Decline, principal: Principal
) -> WaitView:
    """Answer; where an answer that is a text doesn't fit, what it says as JSON may: models often write it so."""
    try:
        return await engine.resume(wait_id, reply, door=DOOR, message_id=message_id, principal=principal)
    except InputError as error:
        if not isinstance(reply, Answer) or not isinstance(reply.value, str):
            raise
        try:
            value = parse(reply.value)
            return await engine.resume(wait_id, Answer(value), door=DOOR, message_id=message_id, principal=principal)
        except (ValueError, InputError):  # what is wrong is told of the answer as it came
            raise error from None


async def wait(follower: Follower, arguments: Mapping[str, Any], caller: Caller) -> Result:
    """Wait for a run, for a while."""
    run = await run_named(follower.engine, arguments["task_id"], caller.principal)
    return await follower.followed(run, caller, arguments.get("timeout_s", USUAL), document=True, patient=True)


async def get(follower: Follower, arguments: Mapping[str, Any], caller: Caller) -> Result:
    """Tell how a run is now."""
    run = await run_named(follower.engine, arguments["task_id"], caller.principal)
    return plain(await follower.told_whole(run, caller.principal), run_id=run.id)


async def list_waits(follower: Follower, arguments: Mapping[str, Any], caller: Caller) -> Result:
    """List what waits for answers."""
    task_id = arguments.get("task_id")
    run_id = None if task_id is None else (await run_named(follower.engine, task_id, caller.principal)).id
    views = await follower.engine.store.list_tasks(run_id=run_id, tree=True, principal=caller.principal)
    shown, agent = follower.engine.connections.shown, follower.engine.config.agent
    found = [wait_view(shown(view)) for view in views if run_id is not None or view.agent == agent]
    data: dict[str, Any] = {"waiting_for": [follower.wait_told(view, caller.principal) for view in found[:MOST]]}
    if len(found) > MOST:
        data["next"] = f"{len(found) - MOST} more aren't shown: give a run's task_id, or answer these first."
    elif not found:
        data["next"] = "Nothing waits for an answer."
    else:
        data["next"] = "Answer one by resume_workflow with its task_id, once the user has told you the answer."
    return plain(data)


async def list_runs(follower: Follower, arguments: Mapping[str, Any], caller: Caller) -> Result:
    """List runs, newest first."""
    status, limit = arguments.get("status"), arguments.get("limit", LISTED)
    states: list[State] = [state for state, word in STATUSES.items() if word == status]
    query = RunQuery(
        states=states, workflow=arguments.get("workflow"), before=arguments.get("before"), limit=int(limit) + 1,
        agent=follower.engine.config.agent,
    )  # fmt: skip
    found = await follower.engine.list(query, principal=caller.principal)
    runs = [run_data(run) for run in found[: int(limit)]]
    for each in runs:
        each.pop("output", None)  # lists don't read outputs
    data: dict[str, Any] = {"runs": runs}
    if len(found) > len(runs):
        data["next"] = f'Older ones: list_workflow_runs with before "{runs[-1]["task_id"]}".'
    return plain(data)


async def cancel(follower: Follower, arguments: Mapping[str, Any], caller: Caller) -> Result:
    """Cancel a run with all below it."""
    task_id = arguments["task_id"]
    run = await run_named(follower.engine, task_id, caller.principal)
    if await task_of(follower.engine.store, task_id, caller.principal) is not None:
        raise InputError(
            f'"{task_id}" is a wait, and not a run',
            hint=f"cancel its run, {run.id}, or refuse to answer: resume_workflow with decline",
        )
    await follower.engine.cancel(run.id, principal=caller.principal)
    run = await follower.engine.wait(run.id, ENDING, principal=caller.principal)
    return plain(await follower.told(run, caller.principal), run_id=run.id)


def _tool(name: str, description: str, properties: Mapping[str, Any], required: Sequence[str], **more: Any) -> Tool:
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return Tool(name, description, {**schema, "required": list(required)} if required else schema, **more)


_RESUME = _tool(
    "resume_workflow",
    "Answers what a workflow's run waits for, and follows the run. Give `answer`, a value that fits the wait's schema, "
    "or `decline` with a reason. Only answer for the user what the user has decided.",
    {
        "task_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "The task_id of the wait, or of its run if that has one open wait.",
        },
        "answer": {"description": "The answer, by the wait's schema."},
        "decline": {"type": "string", "description": "Why there is no answer. The step that asks fails."},
        "message_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "The same one again is the same answer.",
        },
    },
    ("task_id",),
    output_schema=RUN,
    destructive=False,
    idempotent=True,
)
_WAIT = _tool(
    "wait_workflow",
    "Waits until a workflow's run ends or needs an answer, for a while; then call it again. "
    "Use it instead of asking again and again.",
    {"task_id": _TASK, "timeout_s": {"type": "number", "minimum": 0, "maximum": LONGEST, "default": USUAL}},
    ("task_id",),
    output_schema=RUN,
    read_only=True,
)
_GET = _tool(
    "get_workflow_run",
    "Tells how a workflow's run is now: its result, what it waits for, or why it failed.",
    {"task_id": _TASK},
    ("task_id",),
    output_schema=RUN,
    read_only=True,
)
_LIST_WAITS = _tool(
    "list_waiting_steps",
    "Lists what workflows' runs wait for, oldest first: what is asked, and the schema of the answer.",
    {"task_id": {**_TASK, "description": "Only of this run."}},
    (),
    output_schema=WAITS,
    read_only=True,
)
_LIST_RUNS = _tool(
    "list_workflow_runs",
    "Lists workflows' runs, newest first. Look here for a run whose task_id you have lost.",
    {
        "status": STATUS,
        "workflow": {"type": "string", "maxLength": 200},
        "limit": {"type": "integer", "minimum": 1, "maximum": MOST, "default": LISTED},
        "before": {"type": "string", "maxLength": 200, "description": "task_id of the last run of the list before."},
    },
    (),
    output_schema=RUNS,
    read_only=True,
)
_CANCEL = _tool(
    "cancel_workflow_run",
    "Cancels a workflow's run: what works is interrupted, what waits is closed. It can't go on after that.",
    {"task_id": {**_TASK, "description": "The run's task_id."}},
    ("task_id",),
    output_schema=RUN,
    destructive=True,
    idempotent=True,
)
CONTROLS: Mapping[str, tuple[Tool, Control]] = {
    tool.name: (tool, do)
    for tool, do in (
        (_RESUME, resume),
        (_WAIT, wait),
        (_GET, get),
        (_LIST_WAITS, list_waits),
        (_LIST_RUNS, list_runs),
        (_CANCEL, cancel),
    )
}
"""The tools that look after runs, by name."""
