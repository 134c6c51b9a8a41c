"""What a surface is: a package that speaks a protocol, found by its entry point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import anyio
from starlette.routing import BaseRoute

from agentflow.engine import Engine
from agentflow.errors import AgentflowError
from agentflow.extras import installing
from agentflow.server.who import Who

GROUP = "agentflow.surfaces"


@dataclass(frozen=True, slots=True)
class Grpc:
    """Where calls of gRPC come from, for surfaces that speak it."""

    host: str
    port: int
    url: str
    """Where clients reach it, `host:port`; it stands on cards."""
    who: Who
    """Tells who asks."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One config's workflows, as they are served."""

    engine: Engine
    url: str
    """Where its routes begin, as clients reach them; without a slash at its end."""
    leaving: anyio.Event
    """Set when the server is about to end: who waits is answered with what there is."""
    tokens: bool = False
    """Whether who asks has to bring a token."""
    grpc: Grpc | None = None
    """Where gRPC is listened to, for all agents of the app; None: nowhere."""
    tenant: str = ""
    """What names it there, where it shares that with others."""
    kept: dict[str, Any] = field(default_factory=dict[str, Any], compare=False)
    """What surfaces keep of it between making its routes and serving them, by their names."""


class Place(NamedTuple):
    """An address, for people."""

    name: str
    url: str


class Surface(Protocol):
    """A module that speaks a protocol."""

    def routes(self, agent: Agent, others: Mapping[str, Agent]) -> Sequence[BaseRoute]:
        """Return the routes of an agent, below its own path.

        `others` are agents by name that a request to these routes may name instead, where the protocol has a way to.
        """
        ...

    def places(self, agent: Agent) -> Sequence[Place]:
        """Return where an agent is reached."""
        ...

    def example(self, agent: Agent) -> str:
        """Return a command that uses it, to be pasted."""
        ...


@runtime_checkable
class Serving(Protocol):
    """A surface that does something of its own while the app serves."""

    def serving(self, agents: Sequence[Agent]) -> AbstractAsyncContextManager[None]:
        """Return what is entered before the app's first request, and left after its last one.

        It is asked for once an app, when all routes are made.
        """
        ...


class Off(NamedTuple):
    """A surface that lacks a package."""

    name: str
    package: str

    @property
    def hint(self) -> str:
        """How to install it."""
        return installing(self.name)


class Surfaces(NamedTuple):
    """The surfaces that there are."""

    on: Sequence[Surface]
    off: Sequence[Off]


def lacking_grpc() -> AgentflowError:
    """Return the error of a server that is to speak gRPC and can't."""
    return AgentflowError('gRPC needs the package "grpcio"', code="AF-INSTALL", hint=installing("grpc"))


def surfaces() -> Surfaces:
    """Return the surfaces whose packages are installed, and those that lack some.

    Raises:
        AgentflowError: none can be served.
    """
    on: list[Surface] = []
    off: list[Off] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            on.append(cast("Surface", entry.load()))
        except ModuleNotFoundError as error:
            off.append(Off(entry.name, (error.name or "").partition(".")[0]))
    if not on and off:
        missing = off[0]
        raise AgentflowError(
            f'the surface "{missing.name}" needs the package "{missing.package}"', code="AF-INSTALL", hint=missing.hint
        )
    return Surfaces(on, off)
