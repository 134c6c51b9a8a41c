"""Where tokens of connections are kept: the part of a store's contract that requirements use, with its rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple, Protocol

from agentflow.principal import Principal


class Spot(NamedTuple):
    """Whose tokens, for what: no two have the same ones."""

    agent: str
    """Of whose config the connection is."""
    tenant: str
    owner: str
    connection: str


class Held(NamedTuple):
    """Tokens that somebody got by signing in."""

    spot: Spot
    sealed: str
    """The tokens, sealed for the spot."""
    scopes: tuple[str, ...] = ()
    """What was granted."""
    account: str | None = None
    """Who has signed in, as the service calls it."""
    expires_at: float | None = None
    """When the access token does; None: it isn't known to."""
    refreshable: bool = False
    """Whether it can be fetched anew without anybody."""
    state: Literal["active", "expired", "revoked"] = "active"
    """`expired`: and fetching it anew was refused."""
    version: int = 0
    """+1 with each change."""
    updated_at: float = 0.0


class Login(NamedTuple):
    """Somebody is about to sign in."""

    key: str
    """Digest of the state that comes back: the state itself isn't kept."""
    spot: Spot
    scopes: tuple[str, ...]
    sealed: str
    """What proves that it was us who began, sealed for the spot and the key."""
    wait: str | None
    """Task of the wait that asks for it; None: nothing waits."""
    created_at: float
    expires_at: float
    taken_at: float | None = None
    """When its answer came. It may come once."""
    outcome: str | None = None
    """JSON of what came of it."""


class Vault(Protocol):
    """Keeps tokens, and who is about to sign in."""

    async def held(self, spot: Spot) -> Held | None:
        """Return what somebody has for a connection."""
        ...

    async def all_held(self, agent: str, principal: Principal) -> list[Held]:
        """Return what a principal sees: its own, or everybody's, by connection and owner."""
        ...

    async def keep(self, held: Held, *, expect: int | None = None) -> Held | None:
        """Keep tokens, give back the right to fetch them, and return them with their new version.

        Args:
            held: what to keep.
            expect: the version that they replace; None: whichever there is. Where it is another one, nothing is kept
                and None returned.
        """
        ...

    async def drop(self, spot: Spot) -> Held | None:
        """Forget tokens; returns what there was."""
        ...

    async def claim(self, spot: Spot, by: str, now: float, until: float, dead: Collection[str] = ()) -> Held | None:
        """Take the right to fetch tokens anew, unless somebody has it; None: one has, or there are none.

        Args:
            spot: whose, for what.
            by: who takes it.
            now: the time: what was taken until then is free.
            until: when it ends by itself, whatever becomes of who has it.
            dead: those whose right counts no more.
        """
        ...

    async def claimed_by(self, spot: Spot, now: float) -> str | None:
        """Return who fetches tokens anew just now."""
        ...

    async def unclaim(self, spot: Spot, by: str) -> None:
        """Give the right back."""
        ...

    async def begin(self, login: Login, now: float) -> None:
        """Keep that somebody is about to sign in; those whose time is long over are forgotten."""
        ...

    async def login(self, key: str) -> Login | None:
        """Return one by its key."""
        ...

    async def take(self, key: str, now: float) -> Login | None:
        """Return one whose answer has come, for the first time; None: there is none, or it came before."""
        ...

    async def settle(self, key: str, outcome: str) -> None:
        """Keep what came of one; what it was sealed with is forgotten."""
        ...
