"""Tokens as they are kept: sealed for who has signed in, and known to the redaction gates once they are opened."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from agentflow.data import decode, encode, is_array
from agentflow.errors import InputError
from agentflow.redaction import Redactor
from agentflow.requirements.connections.settings import Settings
from agentflow.sealing import Sealer
from agentflow.vault import Held, Spot


class Tokens(NamedTuple):
    """What a server gave for somebody's consent."""

    access_token: str
    refresh_token: str | None = None
    lifetime: float | None = None
    """Seconds that the access token was to live when it was given."""
    client: str = ""
    """Digest of the client and the server that they are for: they are sent to no other one."""

    def __repr__(self) -> str:
        """Show none of it."""
        return "Tokens(***)"


class Safe:
    """Seals tokens, and opens them."""

    def __init__(self, sealer: Sealer, redactor: Redactor) -> None:
        """Use an engine's keys; what is opened is told to its redactor."""
        self._sealer = sealer
        self._redactor = redactor

    def seal(self, spot: Spot, data: object, use: str = "tokens") -> str:
        """Return data as it is kept."""
        purpose, owner = _bound(spot, use)
        return self._sealer.seal(encode(data), purpose=purpose, owner=owner)

    def open(self, spot: Spot, sealed: str, use: str = "tokens") -> object:
        """Return what was sealed for a spot; raises InputError where it can't be opened."""
        purpose, owner = _bound(spot, use)
        return decode(self._sealer.open(sealed, purpose=purpose, owner=owner))

    def shown(self, value: object) -> object:
        """Return data without secrets."""
        return self._redactor.value(value)

    def close(self, spot: Spot, tokens: Tokens) -> str:
        """Return tokens as they are kept."""
        self.learn(spot.connection, tokens)
        return self.seal(spot, list(tokens))

    def tokens(self, held: Held) -> Tokens | None:
        """Return tokens that are kept; None: they can't be opened, as the key is another one now."""
        try:
            found = self.open(held.spot, held.sealed)
        except InputError:
            return None
        tokens = Tokens(*found) if is_array(found) else None
        if tokens is not None:
            self.learn(held.spot.connection, tokens)
        return tokens

    def resealed(self, held: Held, tokens: Tokens) -> Held | None:
        """Return tokens as they are kept from now on; None: they are sealed with the newest key already."""
        if self._sealer.is_newest(held.sealed):
            return None
        return held._replace(sealed=self.close(held.spot, tokens))

    def learn(self, connection: str, tokens: Tokens) -> None:
        """Tell the gates of tokens that are used from now on."""
        for value in (tokens.access_token, tokens.refresh_token):
            if value:
                self._redactor.learn(f"of the connection {connection}", value)


def client_of(settings: Settings) -> str:
    """Return the digest of a connection's client and server."""
    entry = settings.entry
    parts = [entry.client_id, entry.issuer, settings.url("token_url"), entry.provider]
    return hashlib.sha256(encode(parts)).hexdigest()[:16]


def stale(tokens: Tokens, held: Held, leeway: float, now: Callable[[], float]) -> bool:
    """Tell whether an access token ends too soon to be used without fetching it anew."""
    if held.expires_at is None:
        return False
    early = leeway if tokens.lifetime is None else min(leeway, tokens.lifetime / 5)
    return held.expires_at - early <= now()


def _bound(spot: Spot, use: str) -> tuple[str, str]:
    return encode(["connection", use, spot.agent, spot.connection]).decode(), encode([spot.tenant, spot.owner]).decode()
