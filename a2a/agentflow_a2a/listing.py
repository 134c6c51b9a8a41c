"""Pages of the list of tasks: what is asked for, and the token of the next one. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from agentflow.data import is_array
from agentflow.store.views import TaskPage, TaskQuery
from agentflow_a2a.refusals import RefusedError, invalid
from agentflow_a2a.told import OURS, Json

SIZE, LARGEST = 50, 100


class Asked(NamedTuple):
    """What is asked for."""

    query: TaskQuery
    """Asks for one task more than the page has, which tells whether there is another page."""
    size: int
    history: int
    artifacts: bool
    filters: str
    """Stands for what is asked for: a page goes on with the list that it is of."""


def no_state(name: str) -> RefusedError:
    """Return the error of a state that isn't one."""
    return invalid("status", f'there is no state "{name}"; there are: {", ".join(OURS)}')


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
        raise no_state(state)
    since = request.get("statusTimestampAfter")
    token = request.get("pageToken")
    query = TaskQuery(
        context_id=request.get("contextId") or None,
        states=[OURS[state]] if state and state in OURS else (),
        changed_since=datetime.fromisoformat(since).timestamp() if since else None,
        after=_place(token, _filters(request)) if token else None,
        limit=size + 1,
    )
    return Asked(query, size, history, bool(request.get("includeArtifacts")), _filters(request))


def page(asked: Asked, found: TaskPage, tasks: Sequence[Json]) -> Json:
    """Return a page of tasks, and where the next one begins."""
    more = len(found.tasks) > asked.size
    token = _token(*found.tasks[asked.size - 1].place, asked.filters) if more else ""
    return {"tasks": list(tasks), "nextPageToken": token, "pageSize": asked.size, "totalSize": found.total}


def _filters(request: Mapping[str, Any]) -> str:
    told = [request.get(name) or "" for name in ("contextId", "status", "statusTimestampAfter")]
    return sha256(json.dumps(told).encode()).hexdigest()[:8]


def _token(at: float, name: str, filters: str) -> str:
    told = json.dumps([at, name, filters], separators=(",", ":"))
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def _place(token: str, filters: str) -> tuple[float, str]:
    told: Any = None
    at = math.nan
    try:
        told = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if is_array(told) and len(told) == 3 and isinstance(told[0], float | int):
            at = float(told[0])
    except (ValueError, binascii.Error, RecursionError, OverflowError):
        pass
    if not math.isfinite(at) or not isinstance(told[1], str) or not told[1].isprintable():
        raise invalid("pageToken", "it is none of this list's")
    if told[2] != filters:
        raise invalid("pageToken", "it is of a list with other filters")
    return at, told[1]
