"""Agents over gRPC: protocol 1.0 and 0.3, on one port."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

import anyio
import grpc
import grpc.aio
from a2a.compat.v0_3 import a2a_v0_3_pb2_grpc
from a2a.compat.v0_3.grpc_handler import CompatGrpcHandler
from a2a.extensions.common import HTTP_EXTENSION_HEADER
from a2a.server.context import ServerCallContext
from a2a.server.request_handlers import GrpcHandler
from a2a.server.request_handlers.grpc_handler import (
    DefaultGrpcServerCallContextBuilder,
    GrpcServerCallContextBuilder,
)
from a2a.types import a2a_pb2_grpc
from a2a.utils import errors
from a2a.utils.constants import VERSION_HEADER
from google.protobuf.message import DecodeError
from starlette.requests import HTTPConnection

from agentflow.engine.gate import Gate
from agentflow.errors import AgentflowError
from agentflow.reports import described
from agentflow.server.surface import Agent, Grpc
from agentflow.server.who import Refusal, Who
from agentflow_a2a.operations import CALLER, Caller, Operations, caller_of
from agentflow_a2a.sdk.handler import Handler, spoken
from agentflow_a2a.told import TASKS

log = logging.getLogger("agentflow")
GRACE = 1.0
"""Seconds that calls get which are under way when the server ends."""
_OPTIONS = [
    ("grpc.so_reuseport", 0),  # else two servers could share a port, and neither would tell
    ("grpc.keepalive_time_ms", 30_000),  # who is between lets go of a connection on which nothing comes
]
_UNREADABLE = object()
_CURRENT: ContextVar[Caller] = ContextVar("caller")
_STATUS = {401: grpc.StatusCode.UNAUTHENTICATED, 403: grpc.StatusCode.PERMISSION_DENIED}
_LEGACY = f"x-{HTTP_EXTENSION_HEADER.lower()}"


@asynccontextmanager
async def served(
    operations: Operations, others: Mapping[str, Operations], at: Grpc, largest: int, first: Agent
) -> AsyncGenerator[None]:
    """Serve an agent, and others that a request's tenant names, until this is left or the server is about to end.

    Args:
        operations: of the agent.
        others: those of others, by name.
        at: where, and who may.
        largest: bytes that a request may have.
        first: the agent as it is served.

    Raises:
        AgentflowError: the address can't be had.
    """
    asking = _Asking(at.who, first.engine.core.env.gate, first.leaving)
    options = [*_OPTIONS, ("grpc.max_receive_message_length", largest)]
    server = grpc.aio.server(interceptors=[asking], options=options)
    handler = Handler(operations, others)
    _add(a2a_pb2_grpc, GrpcHandler(handler, _Callers("1.0")), server)
    _add(a2a_v0_3_pb2_grpc, CompatGrpcHandler(handler, _Callers("0.3")), server)
    try:
        server.add_insecure_port(f"[{at.host}]:{at.port}" if ":" in at.host else f"{at.host}:{at.port}")
    except RuntimeError:
        raise AgentflowError(
            f"can't listen on {at.host}:{at.port} for gRPC", code="AF-SERVE-ADDRESS", hint="--grpc-port 0"
        ) from None
    await server.start()

    async def end() -> None:
        await first.leaving.wait()
        await server.stop(GRACE)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(end)
            yield
            group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await server.stop(GRACE)


def _add(service: Any, servicer: object, server: grpc.aio.Server) -> None:
    service.add_A2AServiceServicer_to_server(servicer, server)  # generated code has no types


class _Callers(GrpcServerCallContextBuilder):
    """Says of each call who asks, and refuses versions of the protocol that its service doesn't speak."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._default: Any = DefaultGrpcServerCallContextBuilder()  # its types leave holes

    def build(self, context: grpc.aio.ServicerContext[Any, Any]) -> ServerCallContext:
        built: ServerCallContext = self._default.build(context)
        asked = _metadata(context).get(VERSION_HEADER.lower()) or "0.3"
        if spoken(asked) != self._version:
            raise errors.VersionNotSupportedError(f"this service speaks version {self._version}, not {asked}")
        built.state[CALLER] = _CURRENT.get()
        return built


class _Asking(grpc.aio.ServerInterceptor):
    """Stands before all calls: refuses whom nobody knows."""

    def __init__(self, who: Who, gate: Gate, leaving: anyio.Event) -> None:
        self._who = who
        self._gate = gate
        self._leaving = leaving

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        found: Any = await continuation(handler_call_details)
        if found is None:
            return found
        kept = {
            "request_deserializer": _reader(found.request_deserializer),
            "response_serializer": found.response_serializer,
        }
        if found.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._stream(found.unary_stream), **kept)
        return grpc.unary_unary_rpc_method_handler(self._call(found.unary_unary), **kept)

    def _call(self, inner: Callable[[Any, Any], Awaitable[Any]]) -> Any:
        async def call(request: Any, context: Any) -> Any:
            await self._enter(request, context)
            try:
                return await inner(request, context)
            except (grpc.aio.AbortError, anyio.get_cancelled_exc_class()):
                raise
            except Exception as error:
                await self._failed(context, error)

        return call

    def _stream(self, inner: Callable[[Any, Any], AsyncGenerator[Any]]) -> Any:
        async def stream(request: Any, context: Any) -> None:
            await self._enter(request, context)
            failed: Exception | None = None
            whole = False
            async with anyio.create_task_group() as group:
                group.start_soon(self._end, group.cancel_scope)
                try:
                    async with aclosing(inner(request, context)) as events:
                        async for each in events:
                            await context.write(each)
                    whole = True
                except Exception as error:
                    failed = error
                group.cancel_scope.cancel()
            if isinstance(failed, grpc.aio.AbortError):
                raise failed
            if failed is not None:
                await self._failed(context, failed)
            if not whole:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the server ends: go on with the next one")

        return stream

    async def _end(self, scope: anyio.CancelScope) -> None:
        """End a stream when the server is about to end."""
        await self._leaving.wait()
        scope.cancel()

    async def _failed(self, context: Any, error: Exception) -> None:
        """End a call that failed by a fault of ours: it says nothing of itself but in the log."""
        log.error("a fault of agentflow: %s", self._gate.text(described(error)))
        await context.abort(grpc.StatusCode.INTERNAL, "the server has failed at it")

    async def _enter(self, request: Any, context: Any) -> None:
        metadata = _metadata(context)
        try:
            principal = self._who.principal(_connection(context, metadata))
        except Refusal as refusal:
            await context.abort(_STATUS.get(refusal.status, grpc.StatusCode.PERMISSION_DENIED), str(refusal))
            raise
        if request is _UNREADABLE:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request is no message of its type")
        _CURRENT.set(caller_of(metadata, principal))
        asked = f"{metadata.get(HTTP_EXTENSION_HEADER.lower(), '')},{metadata.get(_LEGACY, '')}"
        if TASKS in (name.strip() for name in asked.split(",")):
            await context.send_initial_metadata(((HTTP_EXTENSION_HEADER.lower(), TASKS),))


def _reader(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Return what reads requests and lets those through that it can't read, so that they are refused in words."""

    def reading(raw: bytes) -> Any:
        try:
            return read(raw)
        except DecodeError:
            return _UNREADABLE

    return reading


def _metadata(context: Any) -> dict[str, str]:
    """Return what a call brings beside its request; what is said twice is joined by commas, as in HTTP."""
    found: dict[str, str] = {}
    for name, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _connection(context: Any, metadata: Mapping[str, str]) -> HTTPConnection:
    """Return a call as the HTTP request that it is, for who tells who asks."""
    client = _peer(unquote(context.peer()))
    # No page in a browser can speak gRPC: whose name a caller has used for this machine says nothing.
    headers = {**metadata, "host": "localhost"}
    pairs = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "path": "/", "headers": pairs, "client": client, "query_string": b""})


def _peer(peer: str) -> tuple[str, int] | None:
    """Return the address in `ipv4:127.0.0.1:5000` or `ipv6:[::1]:5000`."""
    kind, _, address = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return None
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
