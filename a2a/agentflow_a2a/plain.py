"""Reads requests in the form that clients send, without the SDK's types; what looks otherwise is left to it.

Most requests have this form: the fields of the protocol, each with a value of its type. Others may mean the same (names
with underscores, numbers for enums, empty values), or nothing: the SDK tells.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from agentflow.data import is_array, is_object, parse
from agentflow_a2a.numbers import whole
from agentflow_a2a.told import OURS

_LARGEST = 2**31
_FLOAT = re.compile(rb"[0-9][.eE]")
_CONTENTS = ("text", "data", "url")
_ENVELOPE = frozenset({"jsonrpc", "id", "method", "params"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_NUMBER = re.compile(r"-?\d{1,9}", re.ASCII)
_COUNTS = frozenset({"pageSize", "historyLength"})
_ROUTE = re.compile(r"/message:(?P<action>send|stream)|/tasks(/(?P<id>[^/:]+)(:(?P<on>cancel|subscribe))?)?")
_OPERATIONS: Mapping[tuple[str, str], str] = {
    ("POST", "send"): "SendMessage",
    ("POST", "stream"): "SendStreamingMessage",
    ("POST", "cancel"): "CancelTask",
    ("POST", "subscribe"): "SubscribeToTask",
    ("GET", "subscribe"): "SubscribeToTask",
    ("GET", "task"): "GetTask",
    ("GET", "list"): "ListTasks",
}
Form = Callable[[Any], bool]


class Call(NamedTuple):
    """A request."""

    id: str | int
    """Over JSON-RPC."""
    method: str
    params: dict[str, Any]


def read(body: bytes) -> Call | None:
    """Return a request; None: it isn't of one of the methods that are answered without the SDK, or has another form."""
    try:
        told: Any = parse(body)
    except ValueError:
        return None
    if not is_object(told) or told.keys() != _ENVELOPE or told["jsonrpc"] != "2.0":
        return None
    name, method, params = told["id"], told["method"], told["params"]
    form = _METHODS.get(method) if isinstance(method, str) else None
    if form is None or isinstance(name, bool) or not isinstance(name, str | int) or not form(params):
        return None
    return Call(name, method, whole(params) if _FLOAT.search(body) else params)


def read_rest(verb: str, path: str, query: bytes, body: bytes) -> Call | None:
    """Return a request of HTTP+JSON; None: as `read`.

    Args:
        verb: its method of HTTP.
        path: below the URL of the interface.
        query: its query.
        body: its body.
    """
    found = _ROUTE.fullmatch(path)
    if found is None:
        return None
    method = _OPERATIONS.get((verb, found["action"] or found["on"] or ("task" if found["id"] else "list")))
    if method is None:
        return None
    params = _asked(query) if verb == "GET" else None if query else _sent(body)
    if params is None:
        return None
    if found["id"]:
        params = {**params, "id": found["id"]}
    return Call("", method, whole(params) if _FLOAT.search(body) else params) if _METHODS[method](params) else None


def _sent(body: bytes) -> dict[str, Any] | None:
    if not body:
        return {}
    try:
        told: Any = parse(body)
    except ValueError:
        return None
    return told if is_object(told) else None


def _asked(query: bytes) -> dict[str, Any] | None:
    """Return the parameters of a query, each of its type; None: they look otherwise."""
    if not query:
        return {}
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=20)
    except ValueError:
        return None
    params: dict[str, Any] = {}
    for name, value in pairs:
        if name in params:
            return None
        if name in _COUNTS:
            if not _NUMBER.fullmatch(value):
                return None
            params[name] = int(value)
        elif name == "includeArtifacts":
            if value not in ("true", "false"):
                return None
            params[name] = value == "true"
        else:
            params[name] = value
    return params


def _time(value: Any) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _state(value: Any) -> bool:
    return isinstance(value, str) and value in OURS


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _named(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _texts(value: Any) -> bool:
    return is_array(value) and all(isinstance(each, str) for each in value)


def _anything(value: Any) -> bool:
    del value
    return True


def _yes_or_no(value: Any) -> bool:
    return isinstance(value, bool)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value < _LARGEST


def _role(value: Any) -> bool:
    return value in ("ROLE_USER", "ROLE_AGENT")


def _parts(value: Any) -> bool:
    return is_array(value) and value != [] and all(_part(each) for each in value)


def _part(value: Any) -> bool:
    return _PART(value) and sum(name in value for name in _CONTENTS) == 1


def _object(fields: Mapping[str, Form], *required: str) -> Form:
    """Return the form of an object that has no other fields than these."""

    def form(value: Any) -> bool:
        if not is_object(value):
            return False
        for name, each in value.items():
            fits = fields.get(name)
            if fits is None or not fits(each):
                return False
        return all(name in value for name in required)

    return form


_PART = _object({
    "text": _text, "data": _anything, "url": _named, "mediaType": _named, "filename": _named, "metadata": is_object,
})  # fmt: skip
_MESSAGE = _object(
    {
        "messageId": _named, "contextId": _named, "taskId": _named, "role": _role, "parts": _parts,
        "metadata": is_object, "extensions": _texts, "referenceTaskIds": _texts,
    },
    "messageId", "role", "parts",
)  # fmt: skip
_CONFIGURATION = _object({"acceptedOutputModes": _texts, "historyLength": _count, "returnImmediately": _yes_or_no})
_SEND = _object({"message": _MESSAGE, "configuration": _CONFIGURATION, "metadata": is_object}, "message")
_METHODS: Mapping[str, Form] = {
    "SendMessage": _SEND,
    "SendStreamingMessage": _SEND,
    "GetTask": _object({"id": _named, "historyLength": _count}, "id"),
    "ListTasks": _object(
        {
            "contextId": _named,
            "status": _state,
            "pageSize": _count,
            "pageToken": _named,
            "historyLength": _count,
            "statusTimestampAfter": _time,
            "includeArtifacts": _yes_or_no,
        }
    ),
    "CancelTask": _object({"id": _named, "metadata": is_object}, "id"),
    "SubscribeToTask": _object({"id": _named}, "id"),
}
