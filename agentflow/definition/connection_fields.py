"""What the config file may say of a connection: who we are towards another service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator, model_validator

from agentflow.credentials import PATIENCE
from agentflow.definition.host_rules import Hosts
from agentflow.definition.models import Duration, Model

ConnectionType = Literal["oauth2", "bearer", "api_key", "basic", "hmac"]
Provider = Literal["google", "github", "slack", "microsoft", "notion", "atlassian"]
_NAME = re.compile(r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?")
OF_TYPES: Mapping[str, frozenset[str]] = {
    "oauth2": frozenset(
        {
            "provider", "grant", "client_id", "client_secret", "client_auth", "issuer", "authorize_url", "token_url",
            "device_url", "revoke_url", "account_url", "scopes", "parameters", "private", "leeway", "on_missing",
            "patience",
        }
    ),
    "bearer": frozenset({"token"}),
    "api_key": frozenset({"key", "header", "query", "prefix"}),
    "basic": frozenset({"username", "password"}),
    "hmac": frozenset({"secret", "key_id", "algorithm", "header", "prefix", "sign", "timestamp", "encoding"}),
}  # fmt: skip
"""Fields that mean something, by type."""
_OURS = frozenset(
    {
        "response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method",
        "code_verifier", "url",
    }
)  # fmt: skip
"""Parameters by which an answer is known to be one to us."""
_SIGNED = ("method", "path", "query", "timestamp", "body")


class ConnectionEntry(Model):
    """A way to authenticate to a provider's service. Texts may be templates of `env`."""

    type: ConnectionType = "oauth2"
    """How requests show who sends them."""
    hosts: Hosts = ()
    """Hosts that the credentials may be sent to, as `host`, `*.host`, either with `:port`; default: any."""
    provider: Provider | None = None
    """Whose endpoints an `oauth2` connection has; default: the name's first part, unless it says them itself."""
    grant: Literal["authorization_code", "client_credentials"] = "authorization_code"
    """Who consents: each person for himself, in a browser or with a code; or nobody, and the client is itself."""
    client_id: str | None = None
    """OAuth client."""
    client_secret: str | None = None
    """Its secret."""
    client_auth: Literal["basic", "post", "none"] | None = None
    """How the client shows who it is: in a header, in the form, not at all; default: in a header if it has a secret."""
    issuer: str | None = None
    """The authorization server; its endpoints are found by OpenID Connect Discovery, where no others are given."""
    authorize_url: str | None = None
    """Where people give their consent."""
    token_url: str | None = None
    """Where tokens are fetched."""
    device_url: str | None = None
    """Where codes for devices without a browser are fetched."""
    revoke_url: str | None = None
    """Where tokens are revoked."""
    account_url: str | None = None
    """Who tells whose token it is, for people who look at the list of connections."""
    scopes: tuple[str, ...] = ()
    """Permissions that are asked for each time, besides those that steps need."""
    parameters: dict[str, str] = Field(default_factory=dict[str, str])
    """Further parameters of the address where people consent."""
    private: bool = False
    """True: the endpoints may be on this machine and in private networks, and need no https."""
    leeway: Duration = Field(default=60.0, ge=0)
    """How long before its end a token is fetched anew; for short-lived ones a fifth of their life, if that is less."""
    on_missing: Literal["ask", "fail"] = "ask"
    """What becomes of a step whose run's owner hasn't signed in: it waits until that is done, or fails."""
    patience: Duration = Field(default=PATIENCE, gt=0)
    """How long such a step waits."""
    token: str | None = None
    """Token of `bearer`."""
    key: str | None = None
    """Key of `api_key`."""
    header: str | None = None
    """Header that carries the key, or the signature of `hmac`."""
    query: str | None = None
    """Query parameter that carries the key, instead of a header."""
    prefix: str = ""
    """What stands before the key, or the signature, in the header."""
    username: str | None = None
    """User of `basic`."""
    password: str | None = None
    """Password of `basic`."""
    secret: str | None = None
    """Shared secret of `hmac`."""
    key_id: str | None = None
    """Name of that secret at the service, which is sent in `X-Key-Id`."""
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    """Hash function of `hmac`."""
    sign: tuple[str, ...] = ("method", "path", "query", "timestamp", "body")
    """What of a request is signed, joined by line breaks: method, path, query, timestamp, body, or `header:NAME`."""
    timestamp: str = "X-Timestamp"
    """Header with the time that is signed, in seconds since 1970."""
    encoding: Literal["hex", "base64"] = "hex"
    """How the signature is written."""

    @field_validator("sign")
    @classmethod
    def _signed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            if part not in _SIGNED and not re.fullmatch(r"header:[A-Za-z0-9-]+", part):
                raise ValueError(f'"{part}" can\'t be signed; there are {", ".join(_SIGNED)} and header:NAME')
        if not value:
            raise ValueError("sign names at least one part of the request")
        return value

    @field_validator("issuer", "authorize_url", "token_url", "device_url", "revoke_url", "account_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and "{" not in value and not re.match(r"https?://[^/\s]+", value):
            raise ValueError(f'"{value}" is no address; it begins with http:// or https://')
        return value

    @field_validator("token", "header", "prefix", "timestamp", "key_id")
    @classmethod
    def _sendable(cls, value: str | None) -> str | None:
        if value is not None and not (value.isascii() and value.isprintable()):
            raise ValueError(
                "it goes into a header, which holds printable ASCII only; is there a line break at its end?"
            )
        return value

    @field_validator("parameters")
    @classmethod
    def _further(cls, value: dict[str, str]) -> dict[str, str]:
        if ours := sorted(_OURS & value.keys()):
            raise ValueError(f'"{ours[0]}" is made anew for each login, and can\'t be given')
        return value

    @model_validator(mode="after")
    def _whole(self) -> ConnectionEntry:
        known = {"type", "hosts", *OF_TYPES[self.type]}
        for name in self.model_fields_set:
            if name not in known:
                raise ValueError(f'"{name}" means nothing of type {self.type}; that has {", ".join(sorted(known))}')
        needed = {"bearer": ("token",), "api_key": ("key",), "basic": ("username", "password"), "hmac": ("secret",)}
        for name in needed.get(self.type, ()):
            given = getattr(self, name)
            if given is None or (not given and name != "password"):  # some services take a key as the user alone
                raise ValueError(f"type {self.type} needs {name}")
        if self.type == "basic" and "{" not in str(self.username) and ":" in str(self.username):
            raise ValueError("a username holds no colon: what comes after it would be taken for the password")
        if self.type == "api_key" and self.query is None:
            self._sendable(self.key)
        if self.type == "api_key" and self.header is not None and self.query is not None:
            raise ValueError("give one of header and query")
        return self


def name_fault(name: str) -> str | None:
    """Say what is wrong with a connection's name; None if nothing is."""
    if not _NAME.fullmatch(name):
        return f'"{name}" is no name of a connection; write provider:service, such as google:drive, or one word'
    return '"native" is of native skills; give the connection another name' if name.startswith("native:") else None
