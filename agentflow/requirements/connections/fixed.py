"""Credentials that the config itself holds: tokens, keys, passwords, and secrets that sign."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping

from agentflow.credentials import Credentials, Outgoing
from agentflow.requirements.connections.settings import Settings


def fixed(settings: Settings, now: Callable[[], float]) -> Credentials:
    """Return the credentials of a connection that isn't `oauth2`."""
    entry = settings.entry
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    value, sign = "", None
    if entry.type == "bearer":
        value = entry.token or ""
        headers["Authorization"] = f"Bearer {value}"
    elif entry.type == "basic":
        pair = f"{entry.username}:{entry.password}"
        value = b64encode(pair.encode()).decode()
        headers["Authorization"] = f"Basic {value}"
    elif entry.type == "api_key":
        value = entry.key or ""
        if entry.query is not None:
            query[entry.query] = value
        else:
            headers[entry.header or "X-API-Key"] = entry.prefix + value
    else:
        sign = Signer(settings, now)
    return Credentials(settings.name, headers, query, sign, value, entry.hosts)


class Signer:
    """Signs requests with a shared secret (HMAC)."""

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        """Sign as a connection of type `hmac` says."""
        self._entry = settings.entry
        self._now = now

    def __call__(self, request: Outgoing) -> Mapping[str, str]:
        """Return the signature's headers."""
        entry, at = self._entry, str(int(self._now()))
        parts = [self._part(part, request, at) for part in entry.sign]
        made = hmac.new((entry.secret or "").encode(), b"\n".join(parts), getattr(hashlib, entry.algorithm))
        written = made.hexdigest() if entry.encoding == "hex" else b64encode(made.digest()).decode()
        headers = {entry.header or "X-Signature": entry.prefix + written}
        if "timestamp" in entry.sign:
            headers[entry.timestamp] = at
        if entry.key_id is not None:
            headers["X-Key-Id"] = entry.key_id
        return headers

    def _part(self, part: str, request: Outgoing, at: str) -> bytes:
        path, _, query = request.target.partition("?")
        if part == "body":
            return request.body
        if part.startswith("header:"):
            return request.headers.get(part.removeprefix("header:").lower(), "").encode()
        return {"method": request.method, "path": path, "query": query, "timestamp": at}[part].encode()
