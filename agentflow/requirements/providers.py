"""Connections that are given in code."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol, runtime_checkable

from agentflow.credentials import Book, Credentials, NotConnected, OnMissing
from agentflow.principal import Principal
from agentflow.requirements.custom import is_custom, lack_of


@runtime_checkable
class ConnectionProvider(Protocol):
    """Gives credentials for a connection, or for all services of a provider, to steps."""

    async def credentials(self, name: str, principal: Principal, *, scopes: Collection[str] = ()) -> Credentials:
        """Return the credentials of a principal, and never anybody else's.

        Args:
            name: the connection, such as `google:drive`.
            principal: whose.
            scopes: permissions that are needed.

        Raises:
            NotConnected: there are none, or not with these permissions. With a `url` the person is sent there; call
                `engine.connections.signed_in` when that is done.
        """
        ...


@runtime_checkable
class _Renewing(Protocol):
    """A provider that can have other credentials after some were refused."""

    async def rejected(self, name: str, principal: Principal, credentials: Credentials) -> Credentials: ...


class Mannered(Book, Protocol):
    """A book that knows what becomes of steps without a connection."""

    def manner(self, name: str) -> tuple[OnMissing, float]:
        """Return whether such a step asks somebody to sign in, and for how many seconds."""
        ...


class Providers:
    """A book of those that are given in code; all others are looked up in the config's."""

    def __init__(self, given: Mapping[str, ConnectionProvider], book: Mannered) -> None:
        """Know providers by connection (`google:drive`) or by the part before the colon."""
        self._given = dict(given)
        self._book = book

    def _of(self, name: str) -> ConnectionProvider | None:
        return self._given.get(name) or self._given.get(name.partition(":")[0])

    def _told(self, name: str, lack: NotConnected) -> NotConnected:
        """Add to what is missing what becomes of steps that need it, as the config says."""
        manner, patience = self._book.manner(name)
        if lack.connectable and "fail" not in (lack.on_missing, manner):
            lack.patience = patience
        else:
            lack.on_missing = "fail"
        return lack

    async def credentials(self, name: str, principal: Principal, *, scopes: Collection[str] = ()) -> Credentials:
        """Return what goes along with requests."""
        provider = self._of(name)
        if provider is not None:
            return await provider.credentials(name, principal, scopes=scopes)
        try:
            return await self._book.credentials(name, principal, scopes=scopes)
        except NotConnected as lack:
            raise self._told(name, lack) from lack.__cause__

    async def rejected(self, name: str, principal: Principal, credentials: Credentials) -> Credentials:
        """Return other credentials, where the provider can have some."""
        provider = self._of(name)
        if provider is None:
            try:
                return await self._book.rejected(name, principal, credentials)
            except NotConnected as lack:
                raise self._told(name, lack) from lack.__cause__
        if isinstance(provider, _Renewing):
            return await provider.rejected(name, principal, credentials)
        raise NotConnected(name, "rejected")

    async def lack(self, name: str, principal: Principal, scopes: Collection[str]) -> NotConnected | None:
        """Return why a principal would get no credentials; None: there are some."""
        if is_custom(name):
            return await lack_of(name)
        provider = self._of(name)
        if provider is None:
            lack = await self._book.lack(name, principal, scopes)
            return None if lack is None else self._told(name, lack)
        try:
            await provider.credentials(name, principal, scopes=scopes)
        except NotConnected as lack:
            return lack
        return None


class NoBook:
    """The book of a config without connections."""

    async def credentials(self, name: str, principal: Principal, *, scopes: Collection[str] = ()) -> Credentials:
        """Have none."""
        raise _unknown(name, scopes)

    async def rejected(self, name: str, principal: Principal, credentials: Credentials) -> Credentials:
        """Have none."""
        raise _unknown(name, ())

    async def lack(self, name: str, principal: Principal, scopes: Collection[str] = ()) -> NotConnected | None:
        """Say that there is none."""
        return _unknown(name, scopes)

    def manner(self, name: str) -> tuple[OnMissing, float]:
        """Let steps fail that need one: signing in doesn't help."""
        return "fail", 0.0


def _unknown(name: str, scopes: Collection[str]) -> NotConnected:
    return NotConnected(name, "unknown", scopes=scopes, hint=f'connections: {{"{name}": {{…}}}}, in the config')
