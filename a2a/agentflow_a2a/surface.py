"""The surface that `agentflow serve` mounts: the protocol's routes for one agent."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.routing import BaseRoute, Mount, Route

from agentflow.server.surface import Agent, Place
from agentflow_a2a.card import card
from agentflow_a2a.edge import Edge
from agentflow_a2a.operations import Operations
from agentflow_a2a.resting import Resting
from agentflow_a2a.sdk import transports

_ROOM = 2
"""How much larger a request may be than the input in it: its JSON may be escaped, and has more around it."""


def routes(agent: Agent, others: Mapping[str, Agent]) -> list[BaseRoute]:
    """Return the routes of an agent: its card, JSON-RPC at `/a2a`, HTTP+JSON at `/a2a/rest`.

    A request names one of `others` by the protocol's tenant.
    """
    largest = agent.engine.config.limits.input_size * _ROOM
    named = {name: _operations(other) for name, other in others.items()}
    made = transports(_operations(agent), named, card(agent.engine.config, agent.url, tokens=agent.tokens))
    rpc = Edge(made.rpc, largest)
    return [
        *made.card,
        Mount("/a2a/rest", app=Edge(made.rest, largest)),
        *(Route(path, rpc, methods=["POST"]) for path in ("/a2a", "/a2a/")),
    ]


def _operations(agent: Agent) -> Operations:
    extended = card(agent.engine.config, agent.url, tokens=True, extended=True) if agent.tokens else None
    return Operations(agent.engine, Resting(agent.engine, agent.leaving), extended)


def places(agent: Agent) -> list[Place]:
    """Return where an agent is reached, for people."""
    return [
        Place("A2A card", f"{agent.url}/.well-known/agent-card.json"),
        Place("A2A JSON-RPC", f"{agent.url}/a2a"),
        Place("A2A HTTP+JSON", f"{agent.url}/a2a/rest"),
    ]


def example(agent: Agent) -> str:
    """Return a command that sends a message."""
    token = " -H 'Authorization: Bearer TOKEN'" if agent.tokens else ""
    message = '{"message": {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "hello"}]}}'
    return (
        f"curl -s {agent.url}/a2a/rest/message:send -H 'A2A-Version: 1.0' -H 'Content-Type: application/json'{token}"
        f" -d '{message}'"
    )
