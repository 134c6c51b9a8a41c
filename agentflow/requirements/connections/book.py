"""The book of connections: who asks gets his own credentials, or hears why there are none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import anyio

from agentflow.credentials import Credentials, NotConnected, OnMissing
from agentflow.principal import Principal
from agentflow.redaction import Redactor
from agentflow.requirements.connections.fixed import fixed
from agentflow.requirements.connections.logins import Finished, Logins, Pending
from agentflow.requirements.connections.oauth import OAuthServer, Refused, Transport
from agentflow.requirements.connections.renewing import Renewing
from agentflow.requirements.connections.scopes import asked, granted, lacking
from agentflow.requirements.connections.settings import AllSettings, Settings
from agentflow.requirements.connections.tokens import Safe, Tokens
from agentflow.sealing import Sealer
from agentflow.vault import Held, Spot, Vault


class Line(NamedTuple):
    """A connection as it is listed."""

    name: str
    type: str
    state: Literal["connected", "not connected", "expired", "revoked", "unconfigured", "fixed"]
    owner: str = ""
    tenant: str = ""
    account: str | None = None
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None
    refreshable: bool = False
    """Whether it goes on by itself when the access token has expired."""
    why: str | None = None


class Tested(NamedTuple):
    """What came of a test."""

    name: str
    asked: bool
    """Whether the service was asked; else nothing is known but that there are credentials."""
    account: str | None = None
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None


class ConnectionBook:
    """Implements `credentials.Book` for one engine, and lets people sign in and out."""

    def __init__(
        self,
        entries: Mapping[str, Mapping[str, Any]],
        env: Mapping[str, str],
        *,
        agent: str,
        vault: Vault,
        sealer: Sealer,
        redactor: Redactor,
        transport: Transport,
        now: Callable[[], float],
        dead: Callable[[Collection[str]], Awaitable[Collection[str]]],
        host: Callable[[], str],
    ) -> None:
        """Make a book; nothing is read or asked yet.

        Args:
            entries: the config's `connections`.
            env: values of the config's `env`.
            agent: whose config that is.
            vault: where tokens are kept.
            sealer: seals them.
            redactor: hears of each secret that is used.
            transport: makes a guarded transport of httpx2 for a connection's endpoints.
            now: the time.
            dead: returns those of some hosts that live no more.
            host: the name under which this process lives.
        """
        self.settings = AllSettings(entries, env)
        self._agent = agent
        self._vault = vault
        self._transport = transport
        self._now = now
        self._safe = Safe(sealer, redactor)
        self._renewing = Renewing(vault, self._safe, now, dead, host)
        self._servers: dict[str, OAuthServer] = {}
        self._own: dict[str, tuple[Credentials, float | None]] = {}
        """What clients that act for themselves have got, and when it is to be fetched anew."""
        self._fetching: dict[str, anyio.Lock] = {}
        self.logins = Logins(self._agent, vault, self._safe, now, self.settings, self.server)

    # what steps ask

    async def credentials(self, name: str, principal: Principal, *, scopes: Collection[str] = ()) -> Credentials:
        """Return what goes along with requests, fetched anew where it expires soon.

        Raises:
            NotConnected: there is nothing.
            AgentflowError: the server that has to be asked can't be, just now.
        """
        settings = self.settings.of(name)
        if settings.entry.type != "oauth2":
            return self._fixed(settings)
        if not settings.signs_in:
            return await self._of_client(settings, scopes, refused=None)
        held = await self._held(settings, principal, scopes)
        return _bearer(settings, *await self._renewing.fresh(held, settings, self.server(settings)))

    async def rejected(self, name: str, principal: Principal, credentials: Credentials) -> Credentials:
        """Return other credentials, after the service has refused some; raises NotConnected where there are none."""
        settings = self.settings.of(name)
        if settings.entry.type != "oauth2":
            hint = f"look at the connection {settings.name} in the config"
            raise NotConnected(settings.name, "rejected", hint=hint, on_missing="fail")
        if not settings.signs_in:
            return await self._of_client(settings, (), refused=credentials)
        held = await self._held(settings, principal, ())
        server = self.server(settings)
        return _bearer(settings, *await self._renewing.fresh(held, settings, server, refused=credentials.version))

    async def lack(self, name: str, principal: Principal, scopes: Collection[str] = ()) -> NotConnected | None:
        """Return what would keep somebody from getting credentials, as far as it is known without asking anybody."""
        try:
            settings = self.settings.of(name)
            if settings.entry.type == "oauth2":
                settings.need("client_id")
                if settings.signs_in:
                    held = await self._held(settings, principal, scopes)
                    self._renewing.opened(held, settings)
                    if not held.refreshable and held.expires_at is not None and held.expires_at <= self._now():
                        return NotConnected(settings.name, "expired", scopes=scopes)
        except NotConnected as error:
            return error
        return None

    def manner(self, name: str) -> tuple[OnMissing, float]:
        """Return what becomes of a step that lacks a connection: whether it asks somebody to sign in, and how long."""
        try:
            entry = self.settings.of(name).entry
        except NotConnected:
            return "fail", 0.0
        return entry.on_missing, entry.patience

    # what people ask

    async def begin(
        self,
        name: str,
        principal: Principal,
        *,
        scopes: Collection[str] = (),
        redirect: str | None = None,
        wait: str | None = None,
        browser: str | None = None,
        lifetime: float = 600.0,
    ) -> Pending:
        """Begin to sign in.

        Args:
            name: the connection, or a service of it.
            principal: who signs in.
            scopes: permissions that are needed, besides the config's and those that were granted before.
            redirect: where the browser comes back to; None: by a device's code, which `poll` waits for.
            wait: the wait that it is for.
            browser: what only the browser knows that began; the same has to come back.
            lifetime: seconds until it is over.

        Raises:
            NotConnected: it can't be signed in to.
            AgentflowError: the server can't be asked, or refuses.
        """
        settings = self.settings.of(name)
        held = await self._vault.held(self._spot(settings, principal))
        before = held.scopes if held is not None else ()
        wanted = tuple(dict.fromkeys((*settings.preset.scopes, *settings.entry.scopes, *before, *scopes)))
        spot = self._spot(settings, principal)
        if redirect is None:
            return await self.logins.begin_device(settings, spot, wanted, scopes, wait)
        return await self.logins.begin(settings, spot, wanted, scopes, redirect, wait, browser, lifetime)

    async def finish(self, state: str, query: Mapping[str, str], *, browser: str | None = None) -> Finished:
        """Take the answer that came back to the redirect; the same answer again is told what came of it.

        Raises:
            AgentflowError: `AF-AUTH-STATE`, `AF-AUTH-TIMEOUT`, `AF-AUTH-DENIED`, or what kept the server from it.
        """
        return await self.logins.finish(state, query, browser)

    async def poll(self, state: str) -> Finished | float:
        """Ask whether a device's code was entered; a number: seconds until it may be asked again."""
        return await self.logins.poll(state)

    async def logout(self, name: str, principal: Principal) -> bool | None:
        """Forget somebody's tokens, and revoke them at the server.

        Returns:
            Whether they were revoked; None: there were none.

        Raises:
            AgentflowError: they are forgotten, but the server couldn't be asked to revoke them.
        """
        settings = self.settings.of(name)
        held = await self._vault.drop(self._spot(settings, principal))
        tokens = self._safe.tokens(held) if held is not None else None
        if held is None or tokens is None:
            return None if held is None else False
        return await self.server(settings).revoke(
            {"access_token": tokens.access_token, "refresh_token": tokens.refresh_token or ""}
        )

    async def test(self, name: str, principal: Principal) -> Tested:
        """Get credentials and show them to whoever says whose they are; raises NotConnected where they are refused."""
        settings = self.settings.of(name)
        credentials = await self.credentials(name, principal)
        if settings.entry.type != "oauth2":
            return Tested(settings.name, asked=False)
        held = await self._vault.held(self._spot(settings, principal)) if settings.signs_in else None
        if settings.signs_in:
            try:
                told = await self.server(settings).about(credentials.value)
            except Refused:
                raise NotConnected(settings.name, "rejected") from None
            asked_for = told is not None
        else:
            asked_for = True  # the server has just given a token
        account = held.account if held is not None else None
        return Tested(settings.name, asked_for, account, held.scopes if held else (), held.expires_at if held else None)

    async def lines(self, principal: Principal) -> list[Line]:
        """Return the connections of the config, with who has signed in to them, as far as a principal sees it."""
        held: dict[str, list[Held]] = {}
        for each in await self._vault.all_held(self._agent, principal):
            held.setdefault(each.spot.connection, []).append(each)
        return [line for name in self.settings.names() for line in self._lines(name, held.get(name, ()))]

    def _lines(self, name: str, held: Iterable[Held]) -> list[Line]:
        try:
            settings = self.settings.of(name)
            if settings.entry.type == "oauth2":
                settings.need("client_id")
        except NotConnected as error:
            return [Line(name, "", "unconfigured", why=error.why)]
        kind = settings.entry.type
        if not settings.signs_in:
            return [Line(name, kind, "fixed")]
        lines = [self._line(settings, each) for each in held]
        return lines or [Line(name, kind, "not connected", scopes=settings.entry.scopes)]

    def _line(self, settings: Settings, held: Held) -> Line:
        spot, state, why = held.spot, "connected" if held.state == "active" else held.state, None
        try:
            self._renewing.opened(held, settings)
        except NotConnected as lack:
            state, why = ("not connected" if held.state == "active" else held.state), lack.why
        return Line(
            spot.connection, settings.entry.type, state, spot.owner, spot.tenant, held.account, held.scopes,
            held.expires_at, held.refreshable, why,
        )  # fmt: skip

    # how they are had

    def server(self, settings: Settings) -> OAuthServer:
        """Return a connection's server."""
        return self._servers.setdefault(settings.name, OAuthServer(settings, self._transport))

    def _spot(self, settings: Settings, principal: Principal) -> Spot:
        return Spot(self._agent, principal.tenant, principal.owner, settings.name)

    async def _held(self, settings: Settings, principal: Principal, scopes: Collection[str]) -> Held:
        """Return what somebody has; raises NotConnected where it isn't enough."""
        held = await self._vault.held(self._spot(settings, principal))
        if held is None:
            raise NotConnected(settings.name, "not connected", scopes=scopes)
        if held.state != "active":
            raise NotConnected(settings.name, held.state, scopes=scopes)
        lacks = lacking(scopes, held.scopes, settings.preset)
        if lacks:
            raise NotConnected(settings.name, "scopes", scopes=lacks)
        return held

    def _fixed(self, settings: Settings) -> Credentials:
        return fixed(settings, self._now)

    async def _of_client(self, settings: Settings, scopes: Collection[str], refused: Credentials | None) -> Credentials:
        """Return a token of the client itself: it is fetched again as easily as it would be kept."""
        wanted = tuple(dict.fromkeys((*settings.entry.scopes, *scopes)))
        key = f"{settings.name} {' '.join(sorted(wanted))}"
        async with self._fetching.setdefault(key, anyio.Lock()):
            known = self._own.get(key)
            if known is not None and known[0] != refused and (known[1] is None or known[1] > self._now()):
                return known[0]
            try:
                answer = await self.server(settings).own(asked(wanted, settings.preset))
            except Refused as error:
                raise NotConnected(
                    settings.name, "unconfigured", why=error.what, hint=f"look at {settings.name} in the config"
                ) from None
            lacks = lacking(scopes, granted(answer.scope, settings.preset, wanted), settings.preset)
            if lacks:
                raise NotConnected(settings.name, "unconfigured", why=f"its client isn't granted {', '.join(lacks)}")
            tokens = Tokens(answer.access_token)
            self._safe.learn(settings.name, tokens)
            version = known[0].version + 1 if known is not None else 1
            made = _made(settings, tokens, version)
            lifetime = answer.lifetime
            early = None if lifetime is None else min(settings.entry.leeway, lifetime / 5)
            self._own[key] = (made, None if lifetime is None or early is None else self._now() + lifetime - early)
            return made


def _bearer(settings: Settings, held: Held, tokens: Tokens) -> Credentials:
    return _made(settings, tokens, held.version)


def _made(settings: Settings, tokens: Tokens, version: int) -> Credentials:
    entry, headers = settings.entry, {"Authorization": f"Bearer {tokens.access_token}"}
    return Credentials(
        settings.name, headers, value=tokens.access_token, hosts=entry.hosts, version=version,
        on_missing=entry.on_missing if settings.signs_in else "fail", patience=entry.patience,
    )  # fmt: skip
