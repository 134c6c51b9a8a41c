"""Steps without credentials: they wait until somebody has signed in, and go on as if they had never waited. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from agentflow.credentials import NotConnected, Reason
from agentflow.engine import asked
from agentflow.engine.exchange import Attempt, Need
from agentflow.engine.suspended import CONNECTION, suspended
from agentflow.errors import Failure
from agentflow.steps.contract import Park, Wait

_CODES: Mapping[Reason, str] = {"unconfigured": "AF-AUTH-NEEDED", "rejected": "AF-AUTH-DENIED"}
"""What a step fails with for want of credentials that are set up wrong: nobody is missing who could sign in."""


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
        code = _CODES.get(error.reason)
        if code is not None:
            return Failure(code, error.what, kind="skill", retryable=False, why=error.why, hint=error.hint)
        named = error.service + (f" ({', '.join(scopes)})" if scopes and error.reason == "scopes" else "")
        return Failure(
            "AF-SKILL-MISSING", f"Missing skills: {named}", kind="skill", retryable=False,
            why=": ".join(filter(None, (error.what, error.why))), hint=error.hint,
        )  # fmt: skip
    details = {
        asked.CONNECTION: error.service, "scopes": list(scopes), "reason": error.reason,
        "url": error.url, "user_code": error.user_code,
    }  # fmt: skip
    state = suspended(attempt, attempt.saved, attempt.calls, {CONNECTION: error.service})
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


def scopes_of(needs: Iterable[Need], connection: str) -> tuple[str, ...]:
    """Return the permissions that a step declares to need of a connection."""
    return tuple(scope for need in needs if need.connection == connection for scope in need.scopes)


def _fails(needs: Iterable[Need], connection: str) -> bool:
    return any(need.on_missing == "fail" for need in needs if need.connection == connection)
