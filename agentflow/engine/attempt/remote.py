"""A port whose run is held elsewhere: each call goes there as JSON, and is answered there by the port of the holder."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, Protocol

from agentflow.credentials import Credentials
from agentflow.data import decode, encode
from agentflow.engine.attempt.lending import Lender, lent, wanted_to_json
from agentflow.engine.attempt.ports import Notable, Port
from agentflow.engine.attempt.received import call_from_json
from agentflow.engine.exchange import Attempt, Chunk
from agentflow.engine.failures import failure_of
from agentflow.engine.volume import Volume
from agentflow.errors import Failure, StepError, StoreError
from agentflow.steps.failing import step_error


class Link(Protocol):
    """Carries calls of attempts to whoever holds their runs."""

    def ask(self, attempt: Attempt, call: bytes) -> bytes:
        """Ask at once, in whatever thread, and return the answer."""
        ...

    async def call(self, attempt: Attempt, call: bytes) -> bytes:
        """Ask, and wait for the answer."""
        ...

    def tell(self, attempt: Attempt, told: Notable) -> None:
        """See to it that `told_to_json(told.take())` gets there, soon and before the attempt's outcome."""
        ...

    def volume(self, attempt: Attempt) -> Volume:
        """Return how much attempts of a run may tell here."""
        ...


class RemotePort:
    """Implements `Port` over a link, for one attempt.

    A link may bring a call twice: that it was lost, and that only its answer was, looks the same here. So what would
    count twice is numbered.
    """

    def __init__(self, link: Link) -> None:
        """Send calls over a link."""
        self._link = link
        self._chunks = count(1)
        self._published = count(1)

    def input(self, attempt: Attempt) -> Any:
        """Return the run's input."""
        return _answer(self._link.ask(attempt, encode(["input"])))

    def result(self, attempt: Attempt, step: str) -> Any:
        """Return the result of a step that is visible from here."""
        return _answer(self._link.ask(attempt, encode(["result", step])))

    def ended(self, attempt: Attempt) -> Sequence[str]:
        """Return the ids of the steps that are visible from here and have ended."""
        return _answer(self._link.ask(attempt, encode(["ended"])))

    def volume(self, attempt: Attempt) -> Volume:
        """Return how much the steps of the run may tell."""
        return self._link.volume(attempt)

    def tell(self, attempt: Attempt, told: Notable) -> None:
        """Say that there is something to take."""
        self._link.tell(attempt, told)

    async def save(self, attempt: Attempt, state: Any) -> None:
        """Commit the state of the step."""
        _answer(await self._link.call(attempt, encode(["save", state])))

    async def deliver(self, attempt: Attempt, chunk: Chunk) -> None:
        """Commit a chunk of an artifact."""
        told = [chunk.name, chunk.append, chunk.last, chunk.raw.decode(), chunk.anew, next(self._chunks)]
        _answer(await self._link.call(attempt, encode(["deliver", *told])))

    async def credentials(
        self, attempt: Attempt, connection: str, scopes: Collection[str], refused: Credentials | None
    ) -> Credentials:
        """Return credentials of the run's owner, for as long as it takes to use them."""
        told = _answer(await self._link.call(attempt, wanted_to_json(connection, scopes, refused)))
        return lent(told, partial(self._link.ask, attempt))

    async def publish(self, attempt: Attempt, topic: str, data: Any, event_id: str | None) -> int:
        """Publish an event as the run's owner; it has an id, given or not."""
        event_id = event_id if event_id is not None else f"{attempt.key}#{next(self._published)}"
        return _answer(await self._link.call(attempt, encode(["publish", topic, data, event_id])))


def told_to_json(events: Sequence[tuple[str, Mapping[str, Any]]]) -> bytes:
    """Return what an attempt has told as JSON."""
    return encode(list(events))


def answer(port: Port, attempt: Attempt, call: bytes) -> bytes:
    """Answer a call that doesn't wait: what a step reads of its run."""
    try:
        return encode({"value": _read(port, attempt, *call_from_json(call))})
    except Exception as error:
        return _refused(error)


_lender = Lender()
"""For all who are answered here: what an attempt was lent is known by its name."""


def _read(port: Port, attempt: Attempt, name: str, args: Sequence[Any]) -> Any:
    if name == "sign":
        return _lender.sign(attempt, args)
    if name == "input":
        return port.input(attempt)
    if name == "result":
        return port.result(attempt, *args)
    return port.ended(attempt)


async def carried_out(port: Port, attempt: Attempt, call: bytes) -> bytes:
    """Answer any call."""
    try:
        name, args = call_from_json(call)
        if name == "credentials":
            return encode({"value": await _lender.lend(port, attempt, args)})
        if name not in {"save", "publish", "deliver"}:
            return encode({"value": _read(port, attempt, name, args)})
        if name == "save":
            await port.save(attempt, *args)
            return encode({"value": None})
        if name == "deliver":
            chunk, append, last, text, anew, number = args
            await port.deliver(attempt, Chunk(chunk, append, last, text.encode(), anew, number))
            return encode({"value": None})
        return encode({"value": await port.publish(attempt, *args)})
    except Exception as error:
        return _refused(error)


def _refused(error: Exception) -> bytes:
    if isinstance(error, KeyError):
        return encode({"missing": str(error.args[0]) if error.args else ""})
    name = "store" if isinstance(error, StoreError) else "error"
    return encode({name: failure_of(step_error(error)).to_data()})


def _answer(raw: bytes) -> Any:
    data = decode(raw)
    if "value" in data:
        return data["value"]
    if "missing" in data:
        raise KeyError(data["missing"])
    if "store" in data:
        told = Failure.from_data(data["store"])
        raise StoreError(told.message, code=told.code, why=told.why, hint=told.hint)
    failure = Failure.from_data(data["error"])
    raise StepError(
        failure.message, code=failure.code, kind=failure.kind, retryable=failure.retryable,
        retry_after=failure.retry_after, why=failure.why, hint=failure.hint, data=failure.data,
    )  # fmt: skip
