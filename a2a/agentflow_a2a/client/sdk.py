"""The one module of the client that knows the official SDK: its types, transports and errors."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar, cast

import httpx
from a2a.client import Client, ClientCallContext, ClientConfig, ClientFactory
from a2a.client.card_resolver import parse_agent_card
from a2a.types import a2a_pb2 as pb
from a2a.utils import errors
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from agentflow.data import is_array, is_object
from agentflow_a2a.client.faults import RemoteError
from agentflow_a2a.numbers import settled
from agentflow_a2a.versions import spoken

BINDINGS = ("JSONRPC", "HTTP+JSON")
"""Transports that are spoken."""
Json = dict[str, Any]
M = TypeVar("M", bound=Message)
logging.getLogger("a2a").addHandler(logging.NullHandler())  # else refused requests stand on stderr
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP states that may be others soon."""


def interfaces(card: Mapping[str, Any]) -> list[Json]:
    """Return where a card says that its agent is reached, as far as it is spoken here; of 0.3 cards too.

    Raises:
        ValueError: it is no card.
    """
    try:
        told = MessageToDict(parse_agent_card(dict(card)))
    except ParseError as error:
        raise ValueError(str(error)) from None
    found: Any = told.get("supportedInterfaces", [])
    return [
        each
        for each in found
        if each.get("protocolBinding") in BINDINGS and spoken(str(each.get("protocolVersion") or "1.0"))
    ]


class Transport:
    """One agent over the transports of the SDK: what it is asked and answers, in the protocol's JSON."""

    def __init__(
        self, http: httpx.AsyncClient, card: Mapping[str, Any], reached: list[Json], tenant: str | None
    ) -> None:
        """Speak to an agent.

        Args:
            http: makes the requests.
            card: the agent's.
            reached: those of its interfaces that may be used.
            tenant: which agent is meant there.
        """
        made = parse_agent_card(dict(card))
        del made.supported_interfaces[:]
        for each in reached:
            made.supported_interfaces.append(
                ParseDict({**each, **({"tenant": tenant} if tenant else {})}, pb.AgentInterface())
            )
        self.streams = made.capabilities.streaming
        self.skills = tuple(each.id for each in made.skills)
        self.extensions = frozenset(each.uri for each in made.capabilities.extensions)
        bindings: list[str] = list(BINDINGS)
        self._streaming: Client = ClientFactory(
            ClientConfig(streaming=True, httpx_client=http, supported_protocol_bindings=bindings)
        ).create(made)
        self._plain: Client = ClientFactory(
            ClientConfig(streaming=False, httpx_client=http, supported_protocol_bindings=bindings)
        ).create(made)

    async def send(
        self, request: Mapping[str, Any], headers: Mapping[str, str], seconds: float, *, stream: bool
    ) -> AsyncGenerator[Json]:
        """Send a message and yield what is told of it; without `stream` one thing."""
        client = self._streaming if stream else self._plain
        try:
            made = ParseDict(dict(request), pb.SendMessageRequest())
        except ParseError as error:
            why = str(error).rpartition(": ")[2]
            raise RemoteError("refused", f"what it is asked has no form in the protocol: {why}") from None
        with _told():
            async with aclosing(_generator(client.send_message(made, context=_context(headers, seconds)))) as events:
                async for event in events:
                    yield _json(event)

    async def subscribe(self, task: str, headers: Mapping[str, str], seconds: float) -> AsyncGenerator[Json]:
        """Yield a task, then each change of it."""
        asked = pb.SubscribeToTaskRequest(id=task)
        with _told():
            async with aclosing(
                _generator(self._streaming.subscribe(asked, context=_context(headers, seconds)))
            ) as events:
                async for event in events:
                    yield _json(event)

    async def get(self, task: str, headers: Mapping[str, str], seconds: float) -> Json:
        """Return a task."""
        with _told():
            return _json(await self._plain.get_task(pb.GetTaskRequest(id=task), context=_context(headers, seconds)))

    async def list(self, context_id: str, headers: Mapping[str, str], seconds: float) -> list[Json]:
        """Return the newest tasks of a context, with their messages."""
        asked = pb.ListTasksRequest(context_id=context_id, page_size=100, history_length=100)
        with _told():
            found: Any = _json(await self._plain.list_tasks(asked, context=_context(headers, seconds))).get("tasks", [])
        return found

    async def cancel(self, task: str, headers: Mapping[str, str], seconds: float) -> None:
        """Cancel a task."""
        with _told():
            await self._plain.cancel_task(pb.CancelTaskRequest(id=task), context=_context(headers, seconds))


def _generator(stream: Any) -> AsyncGenerator[Any]:
    """Return a stream of the SDK as what it is: something that can be closed."""
    return stream


def _context(headers: Mapping[str, str], seconds: float) -> ClientCallContext:
    return ClientCallContext(service_parameters=dict(headers), timeout=seconds)


def _json(message: Message) -> Json:
    return settled(MessageToDict(message))


@contextmanager
def _told() -> Generator[None]:
    """Raise what the SDK raises as a `RemoteError`."""
    try:
        yield
    except errors.A2AError as error:
        raise _fault(error) from error
    except httpx.HTTPError as error:
        raise RemoteError("unreachable", str(error) or type(error).__name__) from error
    except NotImplementedError as error:
        raise RemoteError("unsupported", str(error)) from error
    except (ParseError, ValueError, KeyError, TypeError) as error:
        raise RemoteError("refused", f"what it has answered can't be read: {error}") from error


def _fault(error: errors.A2AError) -> RemoteError:
    if isinstance(error, errors.TaskNotFoundError):
        return RemoteError("not_found", str(error))
    if isinstance(error, errors.TaskNotCancelableError):
        return RemoteError("over", str(error))
    if isinstance(error, errors.UnsupportedOperationError | errors.MethodNotFoundError):
        return RemoteError("unsupported", str(error))
    if isinstance(error, errors.InvalidParamsError):
        return RemoteError("invalid", _fields(error) or str(error))
    cause = error.__cause__
    if isinstance(cause, httpx.HTTPStatusError):
        code = cause.response.status_code
        if code in {401, 403}:
            return RemoteError("denied", f"HTTP {code}")
        return RemoteError("unreachable" if code in _AGAIN else "refused", f"HTTP {code}")
    if isinstance(cause, httpx.HTTPError):
        return RemoteError("unreachable", str(cause) or type(cause).__name__)
    return RemoteError("refused", str(error))


def _fields(error: errors.A2AError) -> str:
    """Return what is wrong with which field, where the agent tells it."""
    data = cast("Json | None", error.data)
    told: Any = data.get("errors") if data is not None else None
    wrong = [str(each.get("message")) for each in told if is_object(each)] if is_array(told) else []
    return "; ".join(wrong)
