"""What is sent to show who we are at another service, and what is said when there is nothing to send."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from agentflow.data import decode, encode
from agentflow.errors import AgentflowError
from agentflow.principal import Principal

Reason = Literal["unknown", "unconfigured", "not connected", "scopes", "expired", "revoked", "rejected", "unavailable"]
"""Why there are no credentials.

`unknown`: the config has no such connection; `unconfigured`: what it says isn't enough; `not connected`: nobody has
signed in; `scopes`: fewer permissions were granted; `expired`: and can't be had anew; `revoked`: by somebody;
`rejected`: the service refuses them; `unavailable`: of a custom skill, its provider says that it isn't there.
"""
OnMissing = Literal["ask", "fail"]
"""What becomes of a step without credentials: it asks somebody to sign in, and goes on then; or it fails."""
PATIENCE = 7 * 24 * 3600.0
"""Seconds for which a step asks somebody to sign in, where nothing else is said."""
CONNECTABLE: Collection[Reason] = frozenset({"not connected", "scopes", "expired", "revoked", "rejected"})
"""What a person helps against who signs in."""


class Outgoing(NamedTuple):
    """A request as it is signed."""

    method: str
    target: str
    """Path and query as they are sent."""
    headers: Mapping[str, str]
    """By lower-case names."""
    body: bytes


Sign: TypeAlias = Callable[[Outgoing], Mapping[str, str]]
"""Returns the headers that sign a request."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What goes along with requests. Their values are known to the redaction gates, and stand in no `repr`."""

    connection: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    query: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    sign: Sign | None = field(default=None, repr=False)
    """Of `hmac`: computes further headers of the finished request."""
    value: str = field(default="", repr=False)
    """The token or key by itself: what `{env.NAME}` is."""
    hosts: tuple[str, ...] = ()
    """Where they may be sent; empty: anywhere."""
    version: int = 0
    """Of the tokens that they are made of; 0: they are fixed."""
    on_missing: OnMissing = "ask"
    """What becomes of a step when the service refuses them though they are new."""
    patience: float = PATIENCE
    """Seconds for which it asks then."""
    holder: str = ""
    """Whose they are, as `holder_of` names him; what a run is given says so."""

    def held_by(self, holder: str) -> Credentials:
        """Return them as somebody's."""
        return replace(self, holder=holder)


def holder_of(principal: Principal) -> str:
    """Return the name of a principal among all tenants'."""
    return encode([principal.tenant, principal.owner]).decode()


def principal_of(holder: str) -> Principal:
    """Return whom `holder_of` has named."""
    tenant, owner = decode(holder)
    return Principal(owner, tenant)


class NotConnected(AgentflowError):
    """There are no credentials for somebody, or they lack permissions."""

    default_code = "AF-AUTH-NEEDED"

    def __init__(
        self, connection: str, reason: Reason, *, scopes: Collection[str] = (), why: str | None = None,
        hint: str | None = None, on_missing: OnMissing = "ask", patience: float = PATIENCE, url: str | None = None,
        user_code: str | None = None,
    ) -> None:  # fmt: skip
        """Make an error.

        Args:
            connection: its name.
            reason: why there are none.
            scopes: permissions that are needed, as the config and steps write them.
            why: what the other side said, shortened and redacted.
            hint: what to do; default: sign in.
            on_missing: what becomes of a step that needs them: it asks somebody to sign in, or fails.
            patience: seconds for which it asks.
            url: where to sign in, of a provider in code that has a page of its own, which is of use that long.
            user_code: what is typed in there.
        """
        if hint is None and reason in CONNECTABLE:
            hint = f"agentflow connections login {connection}"
        super().__init__(_SAID[reason].format(name=connection, scopes=", ".join(scopes)), why=why, hint=hint)
        self.connection = connection
        self.reason: Reason = reason
        self.service = connection
        """What was asked for: the connection, or a service of it."""
        self.scopes = tuple(scopes)
        self.on_missing: OnMissing = on_missing
        self.patience = patience
        self.url = url
        self.user_code = user_code

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it be copied and sent to another process."""
        return type(self), (self.connection, self.reason), vars(self)

    @property
    def connectable(self) -> bool:
        """Whether signing in helps."""
        return self.reason in CONNECTABLE


_SAID: Mapping[Reason, str] = {
    "unknown": 'the config has no connection "{name}"',
    "unconfigured": 'the connection "{name}" lacks a value: in the config, or in the environment',
    "not connected": 'nobody has signed in to "{name}"',
    "scopes": 'the connection "{name}" lacks permissions: {scopes}',
    "expired": 'the connection "{name}" has expired',
    "revoked": 'the connection "{name}" was revoked',
    "rejected": 'the service refuses the credentials of "{name}"',
    "unavailable": '"{name}" isn\'t available here',
}


class Book(Protocol):
    """Gives credentials to steps, each owner his own."""

    async def credentials(self, name: str, principal: Principal, *, scopes: Collection[str] = ()) -> Credentials:
        """Return what goes along with requests, fetched anew where it expires soon.

        Args:
            name: the connection, or a service of it: `google:drive` is served by `google`.
            principal: whose; nobody else's are ever given.
            scopes: permissions that are needed.

        Raises:
            NotConnected: there are none.
        """
        ...

    async def lack(self, name: str, principal: Principal, scopes: Collection[str]) -> NotConnected | None:
        """Return why a principal would get no credentials just now; None: it would. Asks no service."""
        ...

    async def rejected(self, name: str, principal: Principal, credentials: Credentials) -> Credentials:
        """Return other credentials, after the service has refused some: fetched anew once, by whoever is first.

        Raises:
            NotConnected: there are none, or these are the newest ones.
        """
        ...


class Connecting(Protocol):
    """What gives a running step the credentials of its run's owner."""

    async def credentials(
        self, connection: str, *, scopes: Collection[str] = (), refused: Credentials | None = None
    ) -> Credentials:
        """Return the owner's credentials for a connection, such as `google:drive`; `refused`: others than these.

        Raises NotConnected: there are none. A step that lets it through goes on once the owner has signed in.
        """
        ...
