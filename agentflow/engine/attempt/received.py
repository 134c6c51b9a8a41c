"""Reads what workers send while they execute an attempt. What can't be read is refused, and does no harm to anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, cast

from agentflow.data import decode
from agentflow.errors import StepError
from agentflow.usage import models_of

Told = tuple[str, Mapping[str, Any]]
"""An event: its type and data."""

_EVENTS = frozenset({"step_log", "step_progress", "step_usage"})
"""What attempts tell of themselves; all else in a run's log is written by who plans it."""
_CALLS: Mapping[str, Sequence[type | tuple[type, ...]]] = {
    "input": (),
    "ended": (),
    "result": (str,),
    "save": (object,),
    "deliver": (str, bool, bool, str, bool, int),
    "publish": (str, object, (str, NoneType)),
    "credentials": (str, list, (int, NoneType)),
    "sign": (str, str, str, dict, str),
}
"""What attempts may ask, and with what."""


def told_from_json(raw: bytes) -> list[Told]:
    """Read what an attempt has told; raises StepError."""
    events = [_items(event) for event in _items(_data(raw, "what it tells of itself"), otherwise=[[]])]
    if not all(len(event) == 2 and event[0] in _EVENTS and isinstance(event[1], dict) for event in events):
        raise invalid("what it tells of itself")
    for kind, data in events:
        if kind == "step_usage":
            _check_usage(data)
    return [(kind, data) for kind, data in events]


def _check_usage(data: Any) -> None:
    try:
        models_of(data)
    except ValueError:
        raise invalid("what it has used") from None


def call_from_json(raw: bytes) -> tuple[str, Sequence[Any]]:
    """Read what an attempt asks, and with what; raises StepError."""
    name, *args = _items(_data(raw, "what it asks")) or [None]
    wanted = _CALLS.get(name) if isinstance(name, str) else None
    if wanted is None:
        raise invalid("what it asks")
    if len(wanted) != len(args) or not all(map(isinstance, args, wanted)):
        raise invalid(f'what it asks for with "{name}"')
    if name == "deliver" and not isinstance(_data(args[3], "an artifact that it gives"), dict):
        raise invalid("an artifact that it gives")
    return name, args


def _items(value: Any, otherwise: Sequence[Any] = ()) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else list(otherwise)


def _data(raw: bytes | str, what: str) -> Any:
    try:
        return decode(raw)
    except Exception:  # nothing that was stored
        raise invalid(what) from None


def invalid(what: str) -> StepError:
    """Return the error for what can't be read."""
    return StepError(
        f"the worker of the step sent something that can't be read: {what}", code="AF-WORKER-INVALID", kind="invalid",
        retryable=False, hint="run the same version of agentflow there and here",
    )  # fmt: skip
