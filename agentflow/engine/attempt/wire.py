"""The form in which attempts and what comes of them leave a process: JSON, whatever carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

from agentflow.data import decode, encode
from agentflow.engine.attempt.sealing import Seal
from agentflow.engine.exchange import Attempt, Chunk, Left, Need, Returned, Stopped
from agentflow.engine.failures import failed_by
from agentflow.engine.gate import Gate
from agentflow.engine.parking import admitted
from agentflow.errors import Failure
from agentflow.steps.contract import EventWait, Park, Skip, Timer, TurnPlace, Wait
from agentflow.steps.unset import UNSET
from agentflow.usage import models_data, models_of

T = TypeVar("T")

VERSION = 1
"""Later ones only add fields, which older readers leave out."""
_SEALED = ("config", "values", "saved", "arrived", "approved")
_PLAIN = tuple(name for name in Attempt._fields if name not in (*_SEALED, "spec", "ready", "calls"))
_KINDS: Mapping[str, type[Wait | Timer | EventWait]] = {"wait": Wait, "timer": Timer, "event": EventWait}


def attempt_to_json(attempt: Attempt, seal: Seal) -> bytes:
    """Return an attempt as JSON, secrets by their names; raises StepError where one would stand in it otherwise."""
    data: dict[str, Any] = {"v": VERSION, **{name: getattr(attempt, name) for name in _PLAIN}}
    sealed = {name: seal.close(getattr(attempt, name)) for name in _SEALED}
    raw = encode({**data, **sealed})
    seal.check(raw, sealed)
    return raw


def attempt_from_json(raw: bytes, seal: Seal) -> Attempt:
    """Read an attempt; raises StepError where a secret is missing here."""
    data = decode(raw)
    sealed = {name: seal.open(data.get(name)) for name in _SEALED}
    turn = data.get("turn")
    plain = {name: data[name] for name in _PLAIN if name in data}
    told = {"turn": None if turn is None else TurnPlace(*turn), "needs": tuple(Need(*n) for n in data.get("needs", ()))}
    return Attempt(**{**plain, **told}, **sealed)


def returned_to_json(returned: Returned, gate: Gate) -> bytes:
    """Return what an attempt came to as JSON. What can't be data fails the step, as it would elsewhere."""
    value, left = returned
    try:
        data = _value(value, gate)
        if left is not None:
            artifacts = [(one.name, one.append, one.last, one.raw.decode()) for one in left.artifacts]
            data["left"] = {"artifacts": artifacts, "messages": list(left.messages), "status": left.status}
            if left.used is not None:
                data["left"] |= {**models_data(left.used), "entry": left.entry}
        return encode(data)
    except Exception as error:  # own step types may write anything into what they wait for
        return encode({"failure": failed_by(gate, error).to_data()})


def _value(value: Any, gate: Gate) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {"result": value.decode()}
    if isinstance(value, Skip):
        return {"skip": gate.text(value.reason)}
    if isinstance(value, Stopped):
        return {"stopped": value.reason}
    if isinstance(value, Failure):
        return {"failure": gate.failure(value).to_data()}
    park = admitted(gate, cast("Park", value))
    kind = next(name for name, each in _KINDS.items() if isinstance(park.on, each))
    on = {each.name: told for each in fields(park.on) if (told := getattr(park.on, each.name)) is not UNSET}
    return {"park": {"kind": kind, "on": on, "state": park.state, "then": park.then}}


def returned_from_json(raw: bytes) -> Returned:
    """Read what an attempt came to. Whatever is raised: it isn't what `returned_to_json` writes."""
    data = decode(raw)
    left = data.get("left")
    if left is not None:
        left = _left(_adapter(_Given).validate_python(left))
    if "result" in data:
        result = data["result"].encode()
        decode(result)
        return result, left
    if "skip" in data:
        return Skip(_adapter(str).validate_python(data["skip"])), left
    if "stopped" in data:
        return Stopped(_adapter(str).validate_python(data["stopped"])), left
    if "failure" in data:
        return _adapter(Failure).validate_python(data["failure"]), left
    park = data["park"]
    on: Any = _adapter(_KINDS[park["kind"]]).validate_python(park["on"])
    return Park(on, park["state"], park["then"]), left


@dataclass(frozen=True, slots=True)
class _Given:
    """What an attempt leaves."""

    artifacts: list[tuple[str, bool, bool, str]]
    messages: list[dict[str, Any]]
    status: str | None
    models: dict[str, Any] | None = None
    entry: int = 0


def _left(given: _Given) -> Left:
    artifacts = [Chunk(name, append, last, text.encode()) for name, append, last, text in given.artifacts]
    for artifact in artifacts:
        _adapter(dict[str, Any]).validate_python(decode(artifact.raw))
    used = None if given.models is None else models_of({"models": given.models})
    return Left(artifacts, given.messages, given.status, used, given.entry)


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """Return what reads values of a type; fields of newer versions are left out."""
    return TypeAdapter(kind)
