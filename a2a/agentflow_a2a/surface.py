"""The surface that `agentflow serve` mounts: the protocol's routes for one agent."""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
from starlette.routing import BaseRoute, Mount, Route

from agentflow.server.bodies import ROOM
from agentflow.server.surface import Agent, Place, lacking_grpc
from agentflow_a2a.card import card
from agentflow_a2a.direct import Answering, DirectRest, DirectRpc
from agentflow_a2a.edge import Edge
from agentflow_a2a.first import first_message
from agentflow_a2a.operations import Operations
from agentflow_a2a.pushing import Pushes
from agentflow_a2a.resting import Resting
from agentflow_a2a.sdk.http import rest_error, rpc_error, transports
from agentflow_a2a.sdk.signing import signer_of


def routes(agent: Agent, others: Mapping[str, Agent]) -> list[BaseRoute]:
    """Return the routes of an agent: its card, JSON-RPC at `/a2a`, HTTP+JSON at `/a2a/rest`.

    A request names one of `others` by the protocol's tenant.
    """
    largest = _largest(agent)
    named = {name: _operations(other) for name, other in others.items()}
    operations, signer = _operations(agent), signer_of(agent)
    made = transports(operations, named, signer.signed(card(agent)) if signer else card(agent))
    answering = Answering(operations, agent)
    rpc = Edge(DirectRpc(answering, made.rpc, rpc_error), largest)
    rest = Edge(DirectRest(answering, made.rest, rest_error), largest)
    return [
        *made.card,
        *((signer.route(),) if signer is not None else ()),
        Mount("/a2a/rest", app=rest),
        *(Route(path, rpc, methods=["POST"]) for path in ("/a2a", "/a2a/")),
    ]


@asynccontextmanager
async def serving(agents: Sequence[Agent]) -> AsyncGenerator[None]:
    """Send push notifications and serve gRPC while the app serves, where that is asked for.

    Raises:
        AgentflowError: the package for gRPC isn't installed, or its address can't be had.
    """
    async with _grpc(agents), _pushing(agents):
        yield


@asynccontextmanager
async def _pushing(agents: Sequence[Agent]) -> AsyncGenerator[None]:
    async with anyio.create_task_group() as group:
        for pushes in map(_pushes, agents):
            if pushes is not None:
                group.start_soon(pushes.sender.run)
        yield
        group.cancel_scope.cancel()


@asynccontextmanager
async def _grpc(agents: Sequence[Agent]) -> AsyncGenerator[None]:
    """Serve agents over gRPC; a call names one of several as tenant."""
    first = agents[0]
    if first.grpc is None:
        yield
        return
    try:
        from agentflow_a2a.sdk.rpc import served  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        raise lacking_grpc() from error
    named = {agent.engine.config.name: _operations(agent) for agent in agents} if len(agents) > 1 else {}
    largest = max(_largest(agent) for agent in agents)
    async with served(_operations(first), named, first.grpc, largest, first):
        yield


def _largest(agent: Agent) -> int:
    """Return how many bytes a request may have."""
    return agent.engine.config.limits.input_size * ROOM


def _operations(agent: Agent) -> Operations:
    extended = card(agent, extended=True) if agent.tokens else None
    signer = signer_of(agent) if extended is not None else None
    extended = signer.signed(extended) if signer is not None and extended is not None else extended
    return Operations(agent.engine, Resting(agent.engine, agent.leaving), extended, _pushes(agent))


def _pushes(agent: Agent) -> Pushes | None:
    """Return the push notifications of an agent, the same ones whoever asks; None: it sends none."""
    if not agent.engine.config.push.enabled:
        return None
    return agent.kept.setdefault("a2a.pushes", Pushes(agent.engine))


def places(agent: Agent) -> list[Place]:
    """Return where an agent is reached, for people."""
    return [
        Place("A2A card", f"{agent.url}/.well-known/agent-card.json"),
        Place("A2A JSON-RPC", f"{agent.url}/a2a"),
        Place("A2A HTTP+JSON", f"{agent.url}/a2a/rest"),
        *((Place("A2A gRPC", agent.grpc.url),) if agent.grpc is not None else ()),
    ]


def example(agent: Agent) -> str:
    """Return a command that sends a message which starts a workflow."""
    token = " -H 'Authorization: Bearer TOKEN'" if agent.tokens else ""
    message = json.dumps({"message": first_message(agent.engine.config.workflows)})
    return (
        f"curl -s {agent.url}/a2a/rest/message:send -H 'A2A-Version: 1.0' -H 'Content-Type: application/json'{token}"
        f" -d {shlex.quote(message)}"
    )
