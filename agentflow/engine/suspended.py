"""States of steps with what the engine keeps beside them: why they wait, and which tools they have called. Pure.

What a step saves, or parks with, is its own. Where there is more to keep, that goes around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agentflow.data import is_object
from agentflow.engine.exchange import Attempt

CONNECTION: Final = "agentflow_connection"
"""Marks the state of a step that waits until somebody has signed in."""
CALL: Final = "agentflow_call"
"""Marks the state of a step that waits until somebody has approved a call of a tool: which, and what a no does."""
CALLS: Final = "agentflow_calls"
"""Marks a state beside which calls are kept."""
_MARKS: Final = frozenset({CONNECTION, CALL, CALLS})


def suspended(attempt: Attempt, saved: Any, calls: Mapping[str, Any] | None, why: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a step that is to go on later as if it had never waited."""
    kept = {"saved": saved, "arrived": attempt.arrived, "goes_on": attempt.goes_on or saved is not None}
    return {**why, **kept} if calls is None else {**why, CALLS: calls, **kept}


def beside(state: Any, calls: Mapping[str, Any] | None) -> Any:
    """Return what a step saves, or parks with, with the calls that it has made until then."""
    return state if calls is None else {CALLS: calls, "saved": state}


def resumed(attempt: Attempt) -> Attempt:
    """Return an attempt with the step's own state, as it was before it waited for somebody."""
    state = attempt.saved
    if not _is_marked(state):
        return attempt
    attempt = attempt._replace(saved=state["saved"], calls=state.get(CALLS))
    if "goes_on" in state:
        attempt = attempt._replace(arrived=state.get("arrived"), goes_on=bool(state["goes_on"]))
    return attempt


def own_state(state: Any) -> Any:
    """Return what a step itself has saved, or parked with."""
    return state.get("saved") if _is_marked(state) else state


def connection_of(state: Any) -> str | None:
    """Return the connection that a parked step waits for; None: it waits for something else."""
    return str(state[CONNECTION]) if is_object(state) and CONNECTION in state else None


def call_of(state: Any) -> Mapping[str, Any] | None:
    """Return what is known of the call that a parked step has to be allowed; None: it waits for something else."""
    found = state.get(CALL) if is_object(state) else None
    return found if is_object(found) else None


def _is_marked(state: Any) -> bool:
    return is_object(state) and "saved" in state and not _MARKS.isdisjoint(state)
