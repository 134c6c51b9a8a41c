"""Reads requests of the protocol of 2026-07-28 in the form that clients send; what looks otherwise is left to the SDK.

All that is read here the SDK would take too, and would understand the same of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from mcp.shared.inbound import MCP_METHOD_HEADER, MCP_NAME_HEADER, MCP_PROTOCOL_VERSION_HEADER
from mcp.types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, PROTOCOL_VERSION_META_KEY

from agentflow.data import is_object
from agentflow_mcp.replies import KEY

MODERN: Final = "2026-07-28"
_VERSION, _METHOD, _NAME = (each.encode() for each in (MCP_PROTOCOL_VERSION_HEADER, MCP_METHOD_HEADER, MCP_NAME_HEADER))
_READ: Final = frozenset({_VERSION, _METHOD, _NAME, b"accept", b"content-type"})
_ACCEPTED: Final = frozenset({b"application/json, text/event-stream", b"application/json,text/event-stream", b"*/*"})
_ENVELOPE: Final = frozenset({"jsonrpc", "id", "method", "params"})
_CLIENT: Final = frozenset({PROTOCOL_VERSION_META_KEY, CLIENT_INFO_META_KEY, CLIENT_CAPABILITIES_META_KEY})
_PROGRESS: Final = "progressToken"
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
"""Half a character, or one of two halves."""
_LARGEST: Final = 2**53


class Call(NamedTuple):
    """A request."""

    id: str | int
    method: str
    name: str
    """The tool or the task that it is about."""
    arguments: Mapping[str, Any]
    client: Mapping[str, Any]
    """What its client says of itself."""
    key: str | None
    """Its idempotency key."""


def read(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Call | None:
    """Return a request that was posted; None: it has another form than most, or is of another method."""
    told = _headers(headers)
    if told is None:
        return None
    try:
        request: Any = json.loads(body.decode())
        if _SURROGATE.search(body) is not None:
            json.dumps(request, ensure_ascii=False).encode()  # half a character: the SDK knows where one may stand
    except ValueError:
        return None
    if not is_object(request) or request.keys() != _ENVELOPE or request["jsonrpc"] != "2.0":
        return None
    name, method, params = request["id"], request["method"], request["params"]
    form = _FORMS.get(method) if isinstance(method, str) else None
    if form is None or told.get(_METHOD) != method.encode() or not _is_id(name) or not is_object(params):
        return None
    found = form(params)
    if found is None or told.get(_NAME) != found[0].encode() or found[0].startswith("=?"):
        return None
    said = _meta(params.get("_meta"))
    return None if said is None else Call(name, method, *found, *said)


def _headers(headers: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes] | None:
    """Return those that are looked at; None: one is there twice, or isn't as those of most."""
    told: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ:
            if name in told:
                return None
            told[name] = value
    usual = (
        told.get(_VERSION) == MODERN.encode()
        and told.get(b"accept") in _ACCEPTED
        and told.get(b"content-type", b"").lower().startswith(b"application/json")
    )
    return told if usual else None


def _is_id(name: object) -> bool:
    return isinstance(name, str) or (type(name) is int and -_LARGEST < name < _LARGEST)


def _called(params: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    if not params.keys() <= {"name", "arguments", "_meta"}:
        return None
    name, arguments = params.get("name"), params.get("arguments", {})
    return (name, arguments) if isinstance(name, str) and is_object(arguments) else None


def _asked(params: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    name = params.get("taskId")
    return (name, {}) if isinstance(name, str) and params.keys() <= {"taskId", "_meta"} else None


_FORMS: Final[Mapping[str, Callable[[Mapping[str, Any]], tuple[str, Mapping[str, Any]] | None]]] = {
    "tools/call": _called,
    "tasks/get": _asked,
}


def _meta(meta: object) -> tuple[Mapping[str, Any], str | None] | None:
    """Return what a client says of itself, and the call's idempotency key; None: it says more, or something else."""
    if not is_object(meta) or meta.get(PROTOCOL_VERSION_META_KEY) != MODERN:
        return None
    client = {name: value for name, value in meta.items() if name in _CLIENT}
    key = None
    if len(client) < len(meta):
        key, token = meta.get(KEY), meta.get(_PROGRESS, 0)
        if not meta.keys() <= _CLIENT | {KEY, _PROGRESS} or not _is_id(token):
            return None
        if KEY in meta and (not isinstance(key, str) or not key):
            return None
    return client, key
