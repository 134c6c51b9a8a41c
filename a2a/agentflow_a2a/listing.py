"""Pages of the list of tasks: what is asked for, and the token of the next one. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from agentflow.data import is_array
from agentflow.store.views import TaskPage, TaskQuery
from agentflow_a2a.refusals import invalid
from agentflow_a2a.told import OURS, Json

SIZE, LARGEST = 50, 100


class Asked(NamedTuple):
    """What is asked for."""

    query: TaskQuery
    history: int
    artifacts: bool


def read(request: Mapping[str, Any]) -> Asked:
    """Read a request; raises RefusedError."""
    size = request.get("pageSize", SIZE)
    if not 1 <= size <= LARGEST:
        raise invalid("pageSize", f"it must be from 1 to {LARGEST}")
    history = request.get("historyLength", 0)
    if history < 0:
        raise invalid("historyLength", "it must not be negative")
    state = request.get("status")
    if state and state not in OURS and state != "TASK_STATE_UNSPECIFIED":
        raise invalid("status", f'there is no state "{state}"')
    since = request.get("statusTimestampAfter")
    query = TaskQuery(
        context_id=request.get("contextId") or None,
        states=[OURS[state]] if state and state in OURS else (),
        changed_since=datetime.fromisoformat(since).timestamp() if since else None,
        after=_place(request["pageToken"]) if request.get("pageToken") else None,
        limit=size,
    )
    return Asked(query, history, bool(request.get("includeArtifacts")))


def page(asked: Asked, found: TaskPage, tasks: Sequence[Json]) -> Json:
    """Return a page of tasks, and where the next one begins."""
    more = len(found.tasks) == asked.query.limit
    token = _token(*found.tasks[-1].place) if more else ""
    return {"tasks": list(tasks), "nextPageToken": token, "pageSize": asked.query.limit, "totalSize": found.total}


def _token(at: float, name: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([at, name], separators=(",", ":")).encode()).decode().rstrip("=")


def _place(token: str) -> tuple[float, str]:
    try:
        place: Any = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        place = None
    if not is_array(place) or len(place) != 2 or not isinstance(place[0], float | int) or not isinstance(place[1], str):
        raise invalid("pageToken", "it is none of this list's")
    return float(place[0]), place[1]
