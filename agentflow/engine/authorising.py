"""Steps without credentials: they wait until somebody has signed in, and go on as if they had never waited. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from agentflow.credentials import NotConnected
from agentflow.data import is_object
from agentflow.engine.asked import CONNECTION
from agentflow.engine.exchange import Attempt, Need
from agentflow.errors import Failure
from agentflow.steps.contract import Park, Wait

_MARK: Final = "agentflow_connection"
"""Marks the state of a step that waits for that: what it had before is inside."""


def lacking(error: BaseException) -> NotConnected | None:
    """Return what a step lacks whose code has raised an error; None: it failed."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        if isinstance(each, NotConnected):
            return each
        seen.add(id(each))
        each = each.__cause__
    return None


def without(attempt: Attempt, error: NotConnected) -> Park | Failure:
    """Return what becomes of an attempt that lacks credentials: it waits for somebody to sign in, or fails."""
    scopes = tuple(dict.fromkeys((*scopes_of(attempt.needs, error.service), *error.scopes)))
    if not error.connectable or error.on_missing == "fail" or _fails(attempt.needs, error.service):
        named = error.service + (f" ({', '.join(scopes)})" if scopes and error.reason == "scopes" else "")
        return Failure(
            "AF-SKILL-MISSING", f"Missing skills: {named}", kind="skill", retryable=False,
            why=": ".join(filter(None, (error.what, error.why))), hint=error.hint,
        )  # fmt: skip
    details = {
        CONNECTION: error.service, "scopes": list(scopes), "reason": error.reason,
        "url": error.url, "user_code": error.user_code,
    }  # fmt: skip
    state = {_MARK: error.service, "saved": attempt.saved, "arrived": attempt.arrived, "goes_on": attempt.goes_on}
    told = {name: value for name, value in details.items() if value is not None}
    wait = Wait("auth", message_of(error.service, scopes, error), timeout=error.patience, details=told)
    return Park(wait, state, then="enter")


def message_of(connection: str, scopes: Collection[str], error: NotConnected) -> str:
    """Return what a person is asked."""
    permissions = f" ({', '.join(scopes)})" if scopes else ""
    if error.reason == "not connected":
        return f"Connect {connection}{permissions}" + (f": {error.why}" if error.why else "")
    why = {
        "scopes": "it lacks permissions", "expired": "it has expired", "revoked": "it was revoked",
        "rejected": "the service refuses what there is",
    }.get(error.reason, error.reason)  # fmt: skip
    return f"Connect {connection}{permissions} again: {why}"


def resumed(attempt: Attempt) -> Attempt:
    """Return an attempt as it was before it waited for somebody to sign in."""
    state = attempt.saved
    if not is_object(state) or _MARK not in state:
        return attempt
    return attempt._replace(
        saved=state.get("saved"), arrived=state.get("arrived"), goes_on=bool(state.get("goes_on"))
    )  # fmt: skip


def own_state(state: Any) -> Any:
    """Return what a step itself has saved, or parked with."""
    return state.get("saved") if is_object(state) and _MARK in state else state


def connection_of(state: Any) -> str | None:
    """Return the connection that a parked step waits for; None: it waits for something else."""
    return str(state[_MARK]) if is_object(state) and _MARK in state else None


def scopes_of(needs: Iterable[Need], connection: str) -> tuple[str, ...]:
    """Return the permissions that a step declares to need of a connection."""
    return tuple(scope for need in needs if need.connection == connection for scope in need.scopes)


def _fails(needs: Iterable[Need], connection: str) -> bool:
    return any(need.on_missing == "fail" for need in needs if need.connection == connection)
