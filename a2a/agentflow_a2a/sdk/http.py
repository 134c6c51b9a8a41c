"""An agent over HTTP: JSON-RPC, HTTP+JSON, and its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from a2a.server.context import ServerCallContext
from a2a.server.request_handlers import build_error_response
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.routes.common import DefaultServerCallContextBuilder, ServerCallContextBuilder
from a2a.types import a2a_pb2 as pb
from a2a.utils.constants import VERSION_HEADER
from a2a.utils.error_handlers import build_rest_error_payload
from starlette.requests import Request
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp

from agentflow_a2a.faults import worded
from agentflow_a2a.operations import CALLER, Operations
from agentflow_a2a.refusals import RefusedError
from agentflow_a2a.sdk.handler import Handler, error_of, made, spoken


@dataclass(frozen=True, slots=True)
class Transports:
    """One agent at its edges: JSON-RPC and HTTP+JSON, both for protocol 1.0 and 0.3, and the card."""

    card: Sequence[BaseRoute]
    rpc: ASGIApp
    rest: ASGIApp


def transports(operations: Operations, others: Mapping[str, Operations], card: Mapping[str, Any]) -> Transports:
    """Return the transports of one agent; a request's tenant names one of `others` instead."""
    handler, callers = Handler(operations, others), _Callers()
    (rpc,) = create_jsonrpc_routes(handler, "/", context_builder=callers, enable_v0_3_compat=True)
    rest = create_rest_routes(handler, context_builder=callers, enable_v0_3_compat=True)
    public = create_agent_card_routes(made(card, pb.AgentCard()), cache_control="public, max-age=60")
    return Transports(public, rpc.app, Router(rest, redirect_slashes=False))


def rpc_error(name: str | int, refused: RefusedError) -> dict[str, Any]:
    """Return the JSON-RPC response that an error is told by."""
    told = build_error_response(name, error_of(refused))
    worded(told["error"]["data"])
    return told


def rest_error(refused: RefusedError) -> dict[str, Any]:
    """Return the answer of HTTP+JSON that an error is told by."""
    told = build_rest_error_payload(error_of(refused))
    worded(told["error"]["details"])
    return told


class _Callers(ServerCallContextBuilder):
    """Says of each request who asks, and refuses versions of the protocol that nobody speaks here."""

    def __init__(self) -> None:
        self._default = DefaultServerCallContextBuilder()

    def build(self, request: Request) -> ServerCallContext:
        context = self._default.build(request)
        asked = request.headers.get(VERSION_HEADER) or request.query_params.get(VERSION_HEADER) or ""
        if asked:
            context.state["headers"] = {**context.state["headers"], VERSION_HEADER.lower(): spoken(asked)}
        context.state[CALLER] = request.scope[CALLER]
        return context
