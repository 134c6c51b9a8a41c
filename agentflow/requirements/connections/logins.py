"""Signing in: what is sent to the authorization server and what comes back, each once."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, cast

import anyio

from agentflow.data import decode, encode
from agentflow.errors import AgentflowError
from agentflow.requirements.connections.oauth import Answer, OAuthServer, Refused, told
from agentflow.requirements.connections.scopes import asked, granted, lacking
from agentflow.requirements.connections.settings import AllSettings, Settings, unconfigured
from agentflow.requirements.connections.tokens import Safe, Tokens, client_of
from agentflow.vault import Held, Login, Spot, Vault

_SLOWER = 5.0
"""Seconds more between two questions, when the server finds them too many."""


class Pending(NamedTuple):
    """Somebody is about to sign in."""

    connection: str
    state: str
    url: str
    """Where the person goes."""
    expires_at: float
    user_code: str | None = None
    """What is entered there, of a device."""
    complete_url: str | None = None
    """The same address with the code in it, where the server has one."""
    interval: float = 0.0
    """Seconds between two questions whether it was."""


class Finished(NamedTuple):
    """Somebody has signed in."""

    connection: str
    tenant: str
    owner: str
    scopes: tuple[str, ...]
    """What was granted."""
    lacking: tuple[str, ...] = ()
    """What was needed and wasn't."""
    account: str | None = None
    wait: str | None = None
    again: bool = False
    """Whether it was known before: the answer came twice."""


class Logins:
    """Begins and ends them. All that is known of one lies in the store: any process takes its answer."""

    def __init__(
        self,
        agent: str,
        vault: Vault,
        safe: Safe,
        now: Callable[[], float],
        settings: AllSettings,
        server: Callable[[Settings], OAuthServer],
    ) -> None:
        """Made by the book."""
        self._agent = agent
        self._vault = vault
        self._safe = safe
        self._now = now
        self._settings = settings
        self._server = server

    async def begin(
        self, settings: Settings, spot: Spot, wanted: Collection[str], needed: Collection[str], redirect: str,
        wait: str | None, browser: str | None, lifetime: float,
    ) -> Pending:  # fmt: skip
        """Return where somebody consents in a browser."""
        _refuse_unless_signing_in(settings)
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        scope = asked(wanted, settings.preset)
        url = await self._server(settings).authorize_url(state, verifier, redirect, scope)
        kept = {"verifier": verifier, "redirect": redirect, "asked": list(wanted), "client": client_of(settings)}
        if browser is not None:
            kept["browser"] = _digest(browser)
        now = self._now()
        await self._note(state, spot, needed, kept, wait, now + lifetime)
        return Pending(settings.name, state, url, now + lifetime)

    async def begin_device(
        self, settings: Settings, spot: Spot, wanted: Collection[str], needed: Collection[str], wait: str | None
    ) -> Pending:
        """Return the code that somebody enters in a browser elsewhere."""
        _refuse_unless_signing_in(settings)
        device = await self._server(settings).device(asked(wanted, settings.preset))
        state, now = secrets.token_urlsafe(32), self._now()
        kept = {
            "device": device.device_code, "interval": device.interval, "asked": list(wanted),
            "client": client_of(settings),
        }  # fmt: skip
        await self._note(state, spot, needed, kept, wait, now + device.lifetime)
        return Pending(
            settings.name, state, device.url, now + device.lifetime, device.user_code, device.complete_url,
            device.interval,
        )  # fmt: skip

    async def _note(
        self, state: str, spot: Spot, needed: Collection[str], kept: Any, wait: str | None, until: float
    ) -> None:
        key = _digest(state)
        sealed = self._safe.seal(spot, kept, f"login {key}")
        await self._vault.begin(Login(key, spot, tuple(needed), sealed, wait, self._now(), until), self._now())

    async def about(self, state: str) -> Login | None:
        """Return a login by its state, whatever came of it; None: there is none of this agent."""
        login = await self._vault.login(_digest(state))
        return login if login is not None and login.spot.agent == self._agent else None

    async def finish(self, state: str, query: Mapping[str, str], browser: str | None) -> Finished:
        """Take what the browser brought back."""
        login = await self._known(state)
        if login.outcome is not None:
            return self._before(login, browser)
        settings, kept = self._settings.of(login.spot.connection), self._opened(login)
        server = self._server(settings)
        if "verifier" not in kept or kept.get("browser") != (None if browser is None else _digest(browser)):
            raise _state("another browser has begun it")
        if not await server.checks_issuer(query.get("iss")):
            raise _state("the answer is of another authorization server")
        taken = await self._vault.take(login.key, self._now())
        if taken is None:
            raise _state("it was used already")
        try:
            if (error := query.get("error")) and error != "access_denied":  # nobody has refused: it may be tried again
                raise Refused(settings.name, told(error)[:200], told(query.get("error_description", ""))[:300] or None)
            if error:
                raise _denied(settings.name, told(error), query.get("error_description"))
            answer = await server.exchange(query.get("code", ""), kept["verifier"], kept["redirect"])
            return await self._connected(taken, settings, kept, answer)
        except AgentflowError as error:
            await self._failed(taken, error, kept.get("browser"))
            raise

    async def poll(self, state: str) -> Finished | float:
        """Ask whether a device's code was entered."""
        login = await self._known(state)
        if login.outcome is not None:
            return self._before(login)
        settings, kept = self._settings.of(login.spot.connection), self._opened(login)
        try:
            answer = await self._server(settings).poll(kept.get("device", ""))
        except Refused as error:
            if error.error == "authorization_pending":
                return float(kept["interval"])
            if error.error == "slow_down":
                return float(kept["interval"]) + _SLOWER
            failed = _over(settings.name) if error.error == "expired_token" else error
            if error.error == "access_denied":
                failed = _denied(settings.name, error.error, error.why)
            await self._failed(login, failed)
            raise failed from None
        taken = await self._vault.take(login.key, self._now())
        if taken is None:
            raise _state("it was used already")
        return await self._connected(taken, settings, kept, answer)

    async def _known(self, state: str) -> Login:
        login = await self.about(state)
        if login is None:
            raise _state("nobody has begun it")
        if login.outcome is None and login.taken_at is not None:
            raise _state("it was used already")
        if login.outcome is None and login.expires_at <= self._now():
            raise _over(login.spot.connection)
        return login

    def _opened(self, login: Login) -> dict[str, Any]:
        kept = cast("dict[str, Any]", self._safe.open(login.spot, login.sealed, f"login {login.key}"))
        if kept["client"] != client_of(self._settings.of(login.spot.connection)):
            raise _state("the connection is another one in the config now")
        return kept

    def _before(self, login: Login, browser: str | None = None) -> Finished:
        """Return, or raise, what came of a login: to the browser that began it."""
        past = decode((login.outcome or "").encode())
        if past.get("browser") != (None if browser is None else _digest(browser)):
            raise _state("another browser has begun it")
        if "code" in past:
            raise AgentflowError(past["what"], code=past["code"], why=past.get("why"), hint=past.get("hint"))
        scopes, lacks = tuple(past["scopes"]), tuple(past["lacking"])
        return Finished(
            login.spot.connection, login.spot.tenant, login.spot.owner, scopes, lacks, past["account"], login.wait,
            again=True,
        )  # fmt: skip

    async def _failed(self, login: Login, error: AgentflowError, browser: str | None = None) -> None:
        past = {"code": error.code, "what": error.what, "why": error.why, "hint": error.hint, "browser": browser}
        with anyio.CancelScope(shield=True):
            await self._vault.settle(login.key, encode(self._safe.shown(past)).decode())

    async def _connected(self, login: Login, settings: Settings, kept: Mapping[str, Any], answer: Answer) -> Finished:
        """Keep the tokens, and say what came of it."""
        tokens = Tokens(answer.access_token, answer.refresh_token, answer.lifetime, client_of(settings))
        sealed = self._safe.close(login.spot, tokens)  # the gates know them from here on
        account = answer.account or await self._account(settings, answer.access_token)
        scopes, now = granted(answer.scope, settings.preset, kept["asked"]), self._now()
        held = Held(
            login.spot, sealed, scopes, account, None if answer.lifetime is None else now + answer.lifetime,
            answer.refresh_token is not None, updated_at=now,
        )  # fmt: skip
        lacks = tuple(lacking(login.scopes, scopes, settings.preset))
        outcome = {"scopes": scopes, "lacking": lacks, "account": account, "browser": kept.get("browser")}
        with anyio.CancelScope(shield=True):
            await self._vault.keep(held)
            await self._vault.settle(login.key, encode(self._safe.shown(outcome)).decode())
        return Finished(login.spot.connection, login.spot.tenant, login.spot.owner, scopes, lacks, account, login.wait)

    async def _account(self, settings: Settings, access_token: str) -> str | None:
        """Return who has signed in: for people, so that nothing fails where it can't be known."""
        try:
            return await self._server(settings).account(access_token)
        except AgentflowError:
            return None


def _refuse_unless_signing_in(settings: Settings) -> None:
    if not settings.signs_in:
        why = "nobody signs in to it: its credentials stand in the config"
        raise AgentflowError(f'the connection "{settings.name}" needs no login', code="AF-AUTH-NO-LOGIN", why=why)
    if settings.url("token_url") is None and settings.entry.issuer is None:
        raise unconfigured(settings.name, "it has neither an issuer nor a token_url")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _denied(name: str, error: str, description: str | None) -> AgentflowError:
    what = f"{name} refused: {error[:200]}"
    hint = f"agentflow connections login {name}, and consent this time"
    return AgentflowError(what, code="AF-AUTH-DENIED", why=told(description)[:300] if description else None, hint=hint)


def _over(name: str) -> AgentflowError:
    hint = f"agentflow connections login {name}"
    return AgentflowError(f'nobody has signed in to "{name}" in time', code="AF-AUTH-TIMEOUT", hint=hint)


def _state(why: str) -> AgentflowError:
    hint = "begin anew, with the address that you are given then"
    return AgentflowError("this login can't be used", code="AF-AUTH-STATE", why=why, hint=hint)
