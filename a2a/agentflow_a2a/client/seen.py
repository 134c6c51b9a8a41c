"""What an agent tells of its task: its state, what it waits for, its results. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentflow.data import is_array, is_object
from agentflow.definition.json_schema import make_validator
from agentflow.steps.waits import Wait, WaitKind
from agentflow_a2a.told import OURS, OUTPUT, TASKS, Json

RESTING = frozenset({"input-required", "auth-required"})
_KINDS: Mapping[str, WaitKind] = {"input": "input", "tool": "tool", "auth": "auth", "operator": "input"}
"""Kinds of waits of agentflow's that a message can answer, as they are asked here."""
_ASIDE = frozenset(
    {"taskId", "step", "kind", "message", "schema", "default", "expiresAt", "assignees", "turn", "agent"}
)


@dataclass(frozen=True, slots=True)
class Question:
    """Something that an agent waits for."""

    task: str
    """The task that an answer is sent to."""
    wait: Wait
    named: bool = False
    """The agent has described it as data: it has a task of its own, and takes data as an answer."""


def task_of(event: Mapping[str, Any]) -> Json | None:
    """Return the task that an event or a response tells."""
    task = event.get("task")
    return task if is_object(task) else None


def state_of(task: Mapping[str, Any]) -> str:
    """Return a task's state, as agentflow calls it; `unknown` for one that isn't told."""
    status = task.get("status")
    return OURS.get(str(status.get("state")), "unknown") if is_object(status) else "unknown"


def parts_of(holder: object) -> list[Json]:
    """Return the parts of a message or an artifact."""
    parts: Any = holder.get("parts") if is_object(holder) else None
    return [part for part in parts if is_object(part)] if is_array(parts) else []


def status_parts(task: Mapping[str, Any]) -> list[Json]:
    """Return the parts of a task's status message."""
    status = task.get("status")
    return parts_of(status.get("message")) if is_object(status) else []


def text_of(parts: Sequence[Json]) -> str:
    """Return the text of parts, joined by line breaks."""
    return "\n".join(str(part["text"]) for part in parts if part.get("text")).strip()


def is_retryable(task: Mapping[str, Any]) -> bool:
    """Tell whether a failed task might do better another time, as far as the agent says so."""
    for part in status_parts(task):
        data = part.get("data")
        error = data.get("error") if is_object(data) else None
        if is_object(error) and error.get("retryable") is False:
            return False
    return True


def questions(agent: str, task: Mapping[str, Any]) -> list[Question]:
    """Return what a task waits for: the waits that it lists as data, else what its status message asks."""
    parts, found, listed = status_parts(task), list[Question](), False
    for part in parts:
        data = part.get("data")
        wait = data.get("wait") if is_object(data) else None
        if is_object(wait) and isinstance(wait.get("taskId"), str):
            listed = True
            kind = _KINDS.get(str(wait.get("kind")))
            if kind is not None:
                found.append(Question(wait["taskId"], _listed(agent, wait, kind), named=True))
    if listed or state_of(task) not in RESTING:
        return found
    name = str(task.get("id"))
    kind = "auth" if state_of(task) == "auth-required" else "input"
    message = text_of(parts) or f'agent "{agent}" waits for {"authorisation" if kind == "auth" else "an answer"}'
    return [Question(name, Wait(kind, message, _schema(parts), details={"agent": agent, "remote_task": name}))]


def _listed(agent: str, wait: Mapping[str, Any], kind: WaitKind) -> Wait:
    details = {name: value for name, value in wait.items() if name not in _ASIDE}
    message = str(wait.get("message") or f'agent "{agent}" waits')
    told = {**details, "agent": agent, "remote_task": wait["taskId"], "remote_step": wait.get("step")}
    return Wait(kind, message, _usable(wait.get("schema")), details=told)


def _schema(parts: Sequence[Json]) -> Json | None:
    """Return the schema that a message's data part has for its answer."""
    for part in parts:
        data = part.get("data")
        for name in ("schema", "answerSchema", "requestedSchema"):
            schema = _usable(data.get(name)) if is_object(data) else None
            if schema is not None:
                return schema
    return None


def _usable(schema: object) -> Json | None:
    """Return a schema, if it is one: what nothing can be checked by keeps no question from being asked."""
    if not is_object(schema):
        return None
    try:
        make_validator(schema)
    except ValueError:
        return None
    return schema


def result(task: Mapping[str, Any]) -> Any:
    """Return what a completed task has given: its output, else its artifacts, else what it has said last."""
    given: Any = task.get("artifacts") or []
    artifacts = [each for each in given if is_object(each)] if is_array(given) else []
    for each in artifacts:
        if each.get("artifactId") == OUTPUT:
            return value_of(parts_of(each))
    if len(artifacts) == 1:
        return value_of(parts_of(artifacts[0]))
    if artifacts:
        names = [str(each.get("name") or each.get("artifactId")) for each in artifacts]
        keys = [str(each.get("artifactId")) for each in artifacts] if len(set(names)) < len(names) else names
        return {key: value_of(parts_of(each)) for key, each in zip(keys, artifacts, strict=True)}
    said = status_parts(task) or _last_said(task)
    return value_of(said)


def _last_said(task: Mapping[str, Any]) -> list[Json]:
    history: Any = task.get("history")
    said = [each for each in history if is_object(each)] if is_array(history) else []
    agents = [each for each in said if each.get("role") == "ROLE_AGENT"]
    return parts_of(agents[-1]) if agents else []


def value_of(parts: Sequence[Json]) -> Any:
    """Return what parts hold: data as it is, text as text, files as their parts; several of these as a list."""
    values: list[Any] = [part["data"] for part in parts if "data" in part]
    files = [part for part in parts if "raw" in part or "url" in part]
    if values or files:
        text = text_of(parts)
        values += [*files, *([text] if text and files else ())]
        return values[0] if len(values) == 1 else values
    return "".join(str(part.get("text", "")) for part in parts)


def digest_of(parts: Sequence[Json]) -> str:
    """Return a text that tells parts from others."""
    raw = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(raw.encode(), digest_size=12).hexdigest()


def digests(task: Mapping[str, Any]) -> dict[str, str]:
    """Return what tells the artifacts of a task from later ones, by their ids."""
    given: Any = task.get("artifacts")
    artifacts = [each for each in given if is_object(each)] if is_array(given) else []
    return {str(each.get("artifactId")): digest_of(parts_of(each)) for each in artifacts}


def has_message(task: Mapping[str, Any], message_id: str) -> bool:
    """Tell whether a message is in a task's history."""
    history: Any = task.get("history")
    return is_array(history) and any(is_object(each) and each.get("messageId") == message_id for each in history)


def hides(artifact: Mapping[str, Any]) -> bool:
    """Tell whether an artifact is but the result of the task, which becomes the step's."""
    return artifact.get("artifactId") == OUTPUT


def progress_of(update: Mapping[str, Any]) -> tuple[float | None, str]:
    """Return how far a task says that it is, and what it says of it."""
    parts, status = status_parts(update), update.get("status")
    message = status.get("message") if is_object(status) else None
    metadata = message.get("metadata") if is_object(message) else None
    told = metadata.get(TASKS) if is_object(metadata) else None
    share: Any = told.get("progress") if is_object(told) else None
    return (share if isinstance(share, int | float) and 0 <= share <= 1 else None), text_of(parts)
