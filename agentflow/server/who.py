"""Who asks: nobody but this machine's user, or those who bring a token."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Protocol

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from agentflow.config import Config
from agentflow.definition.config_file import TokenEntry
from agentflow.errors import AgentflowError
from agentflow.principal import LOCAL, Principal

OPEN = re.compile(r"/healthz|(/agents/[^/]+)?/((\.well-known|answer|connections/login)/[^/]+|connections/callback)")
"""Paths that anybody may read; of answers and logins only who has the whole, sealed path, or the state."""


class Refusal(Exception):
    """A request of nobody known."""

    def __init__(self, status: int, message: str) -> None:
        """Made with an HTTP status."""
        super().__init__(message)
        self.status = status


class Who(Protocol):
    """Tells who asks."""

    @property
    def tokens(self) -> bool:
        """Whether who asks has to bring a token."""
        ...

    def principal(self, request: HTTPConnection) -> Principal:
        """Return who asks; raises Refusal."""
        ...


class Loopback:
    """Whoever asks from this machine is its user. Others are refused, and so are pages of other sites in a browser."""

    tokens = False

    def principal(self, request: HTTPConnection) -> Principal:
        """Return the local user."""
        client = request.client.host if request.client is not None else ""
        if not is_loopback(client) or not is_loopback(_name(request.headers.get("host", ""))):
            raise Refusal(403, "without `auth` in the config only this machine is served, by its loopback address")
        origin = request.headers.get("origin")
        if origin is not None and not is_loopback(_name(origin.partition("://")[2])):
            raise Refusal(403, "without `auth` in the config pages of other sites aren't served")
        return LOCAL


@dataclass(frozen=True, slots=True)
class _Token:
    digest: bytes
    principal: Principal


class Tokens:
    """Each token stands for somebody."""

    tokens = True

    def __init__(self, entries: Sequence[TokenEntry], env: Mapping[str, str]) -> None:
        """Take the config's tokens.

        Args:
            entries: what the config says.
            env: environment variables, with the values of tokens.

        Raises:
            AgentflowError: a value isn't there.
        """
        self._known = [_Token(_digest(entry, env), _principal(entry)) for entry in entries]

    def principal(self, request: HTTPConnection) -> Principal:
        """Return whose token it is; all are compared, so that the time tells nothing."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        given = sha256(value.strip().encode()).digest()
        found: Principal | None = None
        for token in self._known:
            if hmac.compare_digest(given, token.digest):
                found = token.principal
        if scheme.lower() != "bearer" or not value:
            raise Refusal(401, "bring a token: Authorization: Bearer TOKEN")
        if found is None:
            raise Refusal(401, "the token is none of those in the config's `auth`")
        return found


class Asking:
    """Stands before an app: says in the scope who asks, and refuses whom nobody knows."""

    def __init__(self, app: ASGIApp, who: Who) -> None:
        """Let in who is known."""
        self._app = app
        self._who = who

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http" or _is_open(scope):
            await self._app(scope, receive, send)
            return
        try:
            principal = self._who.principal(HTTPConnection(scope))
        except Refusal as refusal:
            headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
            problem = {"title": str(refusal), "status": refusal.status}
            response = JSONResponse(problem, refusal.status, headers, media_type="application/problem+json")
            await response(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)


def principal_of(scope: Scope) -> Principal:
    """Return who asks."""
    principal: Principal = scope["state"]["principal"]
    return principal


def who_of(configs: Sequence[Config], env: Mapping[str, str]) -> Who:
    """Return who is served by what configs say; without any word about it this machine's user."""
    entries = [entry for config in configs for entry in config.auth.tokens]
    values = {name: value for config in configs for name, value in config.env_values.items()}
    return Tokens(entries, {**values, **env}) if entries else Loopback()


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Tell whether a name or address is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """Return a host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def _is_open(scope: Scope) -> bool:
    path: str = scope["path"]
    return OPEN.fullmatch(path.removeprefix(scope.get("root_path", ""))) is not None


def _digest(entry: TokenEntry, env: Mapping[str, str]) -> bytes:
    if entry.sha256 is not None:
        return bytes.fromhex(entry.sha256)
    value = env.get(entry.value_env or "")
    if not value:
        raise AgentflowError(
            f'the token "{entry.name}" has no value: the environment variable {entry.value_env} isn\'t set',
            code="AF-AUTH-TOKEN", hint=f"export {entry.value_env}=…",
        )  # fmt: skip
    return sha256(value.encode()).digest()


def _principal(entry: TokenEntry) -> Principal:
    return Principal(entry.owner or entry.name, entry.tenant, frozenset(entry.scopes), frozenset(entry.groups))
