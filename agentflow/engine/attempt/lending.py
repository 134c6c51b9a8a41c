"""Credentials for attempts that are executed elsewhere, as JSON. Secrets that sign stay where they are."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from agentflow.credentials import Credentials, NotConnected, Outgoing, Sign
from agentflow.data import decode, encode
from agentflow.engine.attempt.ports import Port
from agentflow.engine.exchange import Attempt

Ask = Callable[[bytes], bytes]
"""Asks at once who holds the run."""
KEPT = 1000
"""Credentials that sign, which are kept for those who use them elsewhere."""


def wanted_to_json(connection: str, scopes: Collection[str], refused: Credentials | None) -> bytes:
    """Return what is asked for."""
    return encode(["credentials", connection, [*scopes], None if refused is None else refused.version])


class Lender:
    """Gives credentials to attempts that are executed elsewhere."""

    def __init__(self) -> None:
        """Have given nothing yet."""
        self._signs: dict[tuple[str, str], Sign] = {}

    async def lend(self, port: Port, attempt: Attempt, args: Sequence[Any]) -> Any:
        """Return credentials as JSON data, or why there are none."""
        connection, scopes, version = args
        refused = None if version is None else Credentials(connection, version=version)
        try:
            found = await port.credentials(attempt, connection, [str(scope) for scope in scopes], refused)
        except NotConnected as lack:
            return {"lack": _lack(lack)}
        if found.sign is not None:
            while len(self._signs) >= KEPT:
                del self._signs[next(iter(self._signs))]
            self._signs[attempt.key, found.connection] = found.sign
        return {
            "connection": found.connection, "headers": dict(found.headers), "query": dict(found.query),
            "value": found.value, "hosts": [*found.hosts], "version": found.version,
            "on_missing": found.on_missing, "patience": found.patience, "holder": found.holder,
            "signs": found.sign is not None,
        }  # fmt: skip

    def sign(self, attempt: Attempt, args: Sequence[Any]) -> Any:
        """Sign a request; raises KeyError where nothing was lent that does so."""
        connection, method, target, headers, body = args
        return dict(self._signs[attempt.key, connection](Outgoing(method, target, headers, b64decode(body))))


def lent(data: Any, ask: Ask) -> Credentials:
    """Return credentials that came as JSON data; raises NotConnected where it says that there are none."""
    if "lack" in data:
        raise NotConnected(**data["lack"])
    name = data["connection"]
    sign = _Signer(name, ask) if data["signs"] else None
    return Credentials(
        name, data["headers"], data["query"], sign, data["value"], tuple(data["hosts"]), data["version"],
        data["on_missing"], data["patience"], data["holder"],
    )  # fmt: skip


class _Signer:
    """Has requests signed by who holds the run: the secret doesn't leave its process."""

    def __init__(self, connection: str, ask: Ask) -> None:
        self._connection = connection
        self._ask = ask

    def __call__(self, request: Outgoing) -> Mapping[str, str]:
        body = b64encode(request.body).decode()
        call = ["sign", self._connection, request.method, request.target, dict(request.headers), body]
        return decode(self._ask(encode(call)))["value"]


def _lack(lack: NotConnected) -> dict[str, Any]:
    return {
        "connection": lack.connection, "reason": lack.reason, "scopes": [*lack.scopes], "why": lack.why,
        "hint": lack.hint, "on_missing": lack.on_missing, "patience": lack.patience, "url": lack.url,
        "user_code": lack.user_code,
    }  # fmt: skip
