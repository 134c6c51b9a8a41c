"""Runs and waits as tasks of the protocol, in its JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Any, NamedTuple

from agentflow.data import is_array, is_object, salvaged
from agentflow.engine.models import WaitView, wait_view
from agentflow.engine.unreadable import read_failure
from agentflow.store.rows import Event, RunRow, State
from agentflow.store.views import MessageView, TaskView

TASKS = "urn:agentflow:a2a:tasks:v1"
"""Extension: what a task is of a tree of tasks, its generation, and the waits of a run."""
STATES: Mapping[State, str] = {
    "submitted": "TASK_STATE_SUBMITTED",
    "working": "TASK_STATE_WORKING",
    "input-required": "TASK_STATE_INPUT_REQUIRED",
    "auth-required": "TASK_STATE_AUTH_REQUIRED",
    "completed": "TASK_STATE_COMPLETED",
    "failed": "TASK_STATE_FAILED",
    "canceled": "TASK_STATE_CANCELED",
    "rejected": "TASK_STATE_REJECTED",
}
OURS: Mapping[str, State] = {theirs: ours for ours, theirs in STATES.items()}
PROGRESS = "step_progress"
"""Event of a step that tells how far it is."""
OUTPUT = "@output"
"""Identity of the artifact that a run's result is; no step's address looks like it."""
_CONTENTS = ("text", "raw", "url", "data")
_ABOUT = ("mediaType", "filename")

Json = dict[str, Any]


class Moment(NamedTuple):
    """A state of a task, and when it came to it."""

    state: State
    at: float


def timestamp(at: float) -> str:
    """Return a time as the protocol writes it, whole milliseconds."""
    moment = datetime.fromtimestamp(int(at * 1000) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def agent_message(task_id: str, context_id: str, name: str, parts: Sequence[Json], refers: Sequence[str] = ()) -> Json:
    """Return a message of ours."""
    message: Json = {
        "messageId": f"{task_id}.{name}",
        "role": "ROLE_AGENT",
        "taskId": task_id,
        "contextId": context_id,
        "parts": list(parts),
    }
    return {**message, "referenceTaskIds": list(refers)} if refers else message


def status(task_id: str, context_id: str, moment: Moment, parts: Sequence[Json], refers: Sequence[str] = ()) -> Json:
    """Return a task's status; the same one has the same message wherever it is told."""
    told: Json = {"state": STATES[moment.state], "timestamp": timestamp(moment.at)}
    if parts:
        name = f"{moment.state}.{int(moment.at * 1000)}"
        told["message"] = agent_message(task_id, context_id, name, parts, refers)
    return told


def run_parts(run: RunRow, state: State, waits: Sequence[TaskView], text: str | None = None) -> list[Json]:
    """Return what is said of a run's state: what it waits for, why it failed, or what its steps said last."""
    if state in {"input-required", "auth-required"}:
        return [{"text": _asked(waits)}, *(wait_part(view) for view in waits)] if waits else []
    failure = read_failure(run.error) if state in {"failed", "canceled", "rejected"} else None
    if failure is not None:
        words = [failure.told, *([failure.why] if failure.why else ())]
        return [{"text": ": ".join(words)}, {"data": {"error": failure.to_data()}}]
    text = text or run.message
    return [{"text": text}] if text else []


def progress_status(run: RunRow, event: Event) -> Json:
    """Return the status that a step's progress is told as: its words, and the fraction as metadata."""
    data: Json = event.data if is_object(event.data) else {}
    fraction: Any = data.get("fraction")
    known = isinstance(fraction, int | float)
    text = data.get("message") or (f"{fraction:.0%}" if known else event.step or "working")
    told = status(run.id, run.context_id, Moment("working", event.at), [{"text": str(text)}])
    place = {"step": event.step, **({"progress": fraction} if known else {})}
    told["message"]["metadata"] = {TASKS: place}
    return told


def _asked(waits: Sequence[TaskView]) -> str:
    if len(waits) == 1:
        return _words(waits[0]) or f"{waits[0].task.step} waits"
    lines = (f"- {view.task.step}: {_words(view) or 'waits'}" for view in waits)
    return "\n".join((f"{len(waits)} answers are waited for; say which step yours is for.", *lines))


def _words(view: TaskView) -> str | None:
    """Return what a wait asks; where somebody is to sign in, with the address."""
    wait = wait_view(view)
    if wait.connection is None or wait.url is None:
        return view.task.message
    code = f" and enter {wait.user_code}" if wait.user_code else ""
    return f"{wait.message}: {wait.url}{code}"


def wait_part(view: TaskView) -> Json:
    """Return a wait as data: what a program needs to answer it."""
    wait: WaitView = wait_view(view)
    told: Json = {"taskId": wait.id, "step": wait.step, "kind": wait.kind, "message": wait.message}
    if wait.schema is not None:
        told["schema"] = dict(wait.schema)
    if wait.has_default:
        told["default"] = wait.default
    if wait.expires_at is not None:
        told["expiresAt"] = timestamp(wait.expires_at)
    return {"data": {"wait": {**wait.details, **told}}, "mediaType": "application/json"}


def run_status(run: RunRow, waits: Sequence[TaskView]) -> Json:
    """Return the status that a run has now."""
    parts = run_parts(run, run.state, waits)
    return status(run.id, run.context_id, Moment(run.state, run.changed_at), parts, [view.task.id for view in waits])


def run_task(run: RunRow, depth: int) -> Json:
    """Return a run as a task, without its status, artifacts and history."""
    tree: Json = {"workflow": run.workflow, "generation": run.generation, "rootTaskId": run.root_id, "depth": depth}
    if run.parent_id is not None:
        tree["parentTaskId"] = run.parent_id
    if run.retry_of is not None:
        tree["retryOf"] = run.retry_of
    if run.usage is not None:
        tree["usage"] = salvaged(run.usage, {})
    return {"id": run.id, "contextId": run.context_id, "metadata": {TASKS: tree}}


def wait_status(view: TaskView, moment: Moment | None = None) -> Json:
    """Return the status of a wait's task, now or as it was."""
    task = view.task
    moment = moment or Moment(task.state, task.updated_at)
    asks = moment.state in {"input-required", "auth-required"}
    waits = [wait_part(view)] if task.kind != "agent" else []
    words = _words(view)
    parts = [*([{"text": words}] if words else ()), *waits] if asks else []
    return status(task.id, view.context_id, moment, parts, [view.run_id])


def wait_task(view: TaskView, depth: int) -> Json:
    """Return a wait as a task, without its history."""
    tree: Json = {
        "workflow": view.workflow,
        "generation": view.generation,
        "rootTaskId": view.root_id,
        "parentTaskId": view.run_id,
        "depth": depth,
        "step": view.task.step,
        "kind": view.task.kind,
    }
    schema: Any = salvaged(view.task.schema or b"")
    if schema is not None:
        tree["schema"] = schema
    return {"id": view.task.id, "contextId": view.context_id, "status": wait_status(view), "metadata": {TASKS: tree}}


def message_json(task_id: str, context_id: str, view: MessageView) -> Json:
    """Return a message of a task's history: whichever door it came through, in the protocol's words."""
    data: Json = view.data if is_object(view.data) else {}
    name = view.id or data.get("messageId")
    told: Json = {
        "messageId": name if isinstance(name, str) else f"{task_id}.{view.generation}",
        "role": "ROLE_USER" if view.role == "user" else "ROLE_AGENT",
        "taskId": data.get("taskId") or task_id,
        "contextId": context_id,
        "parts": parts_json(data.get("parts")),
    }
    kept = ("metadata", "extensions", "referenceTaskIds")
    return {**told, **{name: data[name] for name in kept if data.get(name)}}


def artifact_json(artifact: Any) -> Json:
    """Return an artifact of a step's in the protocol's words, whatever the step has made of it."""
    given: Json = artifact if is_object(artifact) else {}
    told: Json = {n: given[n] for n in ("artifactId", "name", "description") if isinstance(given.get(n), str)}
    told["parts"] = parts_json(given.get("parts"))
    return {**told, "metadata": given["metadata"]} if is_object(given.get("metadata")) else told


def parts_json(parts: Any) -> list[Json]:
    """Return parts in the protocol's words; what is none of them is told as data."""
    return [_part_json(part) for part in parts] if is_array(parts) else []


def _part_json(part: Any) -> Json:
    given: Json = part if is_object(part) else {}
    contents = [n for n in _CONTENTS if n in given]
    if len(contents) != 1 or (contents != ["data"] and not isinstance(given[contents[0]], str)):
        return {"data": part}
    told: Json = {contents[0]: given[contents[0]]}
    told |= {n: given[n] for n in _ABOUT if isinstance(given.get(n), str)}
    return {**told, "metadata": given["metadata"]} if is_object(given.get("metadata")) else told


def output_artifact(output: Any) -> Json:
    """Return a run's result as an artifact."""
    part: Json = {"text": output} if isinstance(output, str) else {"data": output, "mediaType": "application/json"}
    return {"artifactId": OUTPUT, "name": "output", "parts": [part]}


def is_artifact(output: Any, artifacts: Sequence[Any]) -> bool:
    """Tell whether a run's result only names artifacts of its own, one or many: they needn't be told twice."""
    return _only_names(output, {each.get("artifactId") for each in artifacts if is_object(each)})


def _only_names(output: Any, artifacts: Set[Any]) -> bool:
    if is_array(output):
        return bool(output) and all(_only_names(each, artifacts) for each in output)
    if not is_object(output) or not output:
        return False
    if set(output) == {"artifact_id"} and isinstance(output["artifact_id"], str):
        return output["artifact_id"] in artifacts
    return all(_only_names(each, artifacts) for each in output.values())
