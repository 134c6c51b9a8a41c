"""Agents and tools that other packages bring: found by their entry point, loaded when one of them is first used."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import anyio
from anyio import to_thread

from agentflow.errors import StepError
from agentflow.extras import installing
from agentflow.steps.contract import AgentAsks, AgentProvider, AgentTurn, Context, ToolProvider
from agentflow.steps.signing import Signing

if TYPE_CHECKING:
    from agentflow.steps.network import Policy, Resolve

AGENTS = "agentflow.agents"
"""Group of entry points: each opens agents of a protocol, and has the name of the extra that brings it."""
TOOLS = "agentflow.tools"
"""The same for servers that have tools."""


@runtime_checkable
class RemoteAgent(AgentProvider, Protocol):
    """An agent that goes on by itself elsewhere, until it is told to stop."""

    async def check(self) -> None:
        """Look whether it can be asked as the config says; raises StepError if it can't."""
        ...

    async def withdraw(self, state: Any) -> None:
        """End what a turn has begun, given the state that it had saved or asked with; raises StepError if it can't."""
        ...

    async def aclose(self) -> None:
        """Close its connections."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the config that a package makes a provider of."""

    name: str
    fields: Mapping[str, Any]
    """As the config has them, templates of `env` computed."""
    secret: Callable[[str], str | None]
    """Returns a value of the config's `env`."""
    resolve: Resolve | None = None
    """Finds a host's addresses; None: the system's resolver."""
    policy: Policy | None = None
    """The rules of `native:network`."""
    folder: Path | None = None
    """The config's folder."""
    credentials: Mapping[str, Any] | None = None
    """The connection that it names: an entry of the config's `connections`, its templates computed."""
    signing: Signing | None = None
    """Signs its requests in the name of somebody."""
    templated: bool = False
    """Whether its address was computed: the config then doesn't say itself where requests go."""


def signing(credentials: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that carry fixed credentials."""
    kind = credentials.get("type", "oauth2")
    token = str(credentials.get("token") or "")
    if kind == "bearer":
        return {"Authorization": f"Bearer {token}"}
    if kind == "basic":
        pair = f"{credentials.get('username') or ''}:{credentials.get('password') or ''}"
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
    if kind == "api_key" and not credentials.get("query"):
        name = str(credentials.get("header") or "X-API-Key")
        return {name: f"{credentials.get('prefix') or ''}{credentials.get('key') or ''}"}
    return {}


@runtime_checkable
class RemoteTools(ToolProvider, Protocol):
    """Tools of a server, whose calls may go on there by themselves, until it is told to stop."""

    async def listed(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the server's tools by name, each with `description` and `input_schema`.

        Raises:
            StepError: it can't be reached.
        """
        ...

    async def withdraw(self, state: Any) -> None:
        """End what a call has begun, given the state that it had saved or parked with; raises StepError if it can't."""
        ...

    async def aclose(self) -> None:
        """Close its connections."""
        ...


class Opens(Protocol):
    """What the entry point of a protocol is: makes an agent of an entry; nothing is connected to yet."""

    def __call__(self, entry: Entry) -> RemoteAgent:
        """Return the agent."""
        ...


def load(group: str, extra: str, what: str) -> Any:
    """Return what an entry point is.

    Args:
        group: of the entry point.
        extra: its name, which is that of the extra that brings what it needs.
        what: who needs it, for people.

    Raises:
        StepError: it isn't installed.
    """
    lacks = "a package"
    for entry in entry_points(group=group, name=extra):
        try:
            return entry.load()
        except ModuleNotFoundError as error:
            lacks = f'the package "{(error.name or "").partition(".")[0]}"'
    raise StepError(
        f"{what} needs {lacks}, which isn't installed", code="AF-INSTALL", kind="invalid", retryable=False,
        hint=installing(extra),
    )  # fmt: skip


class LazyAgent:
    """An agent of the config that a package brings, which is loaded when it is first asked."""

    def __init__(self, name: str, entry: Callable[[], Entry]) -> None:
        """Load nothing yet; `entry` makes its entry when it is needed."""
        self._name = name
        self._entry = entry
        self._agent: RemoteAgent | None = None
        self._loading = anyio.Lock()

    async def run(self, turn: AgentTurn, ctx: Context) -> Any | AgentAsks:
        """Run one turn."""
        return await (await self._opened()).run(turn, ctx)

    async def answer(self, turn: AgentTurn, state: Any, answer: Any, ctx: Context) -> Any | AgentAsks:
        """Go on with a turn that asked."""
        return await (await self._opened()).answer(turn, state, answer, ctx)

    async def check(self) -> None:
        """Look whether it can be asked."""
        await (await self._opened()).check()

    async def withdraw(self, state: Any) -> None:
        """End what a turn has begun."""
        await (await self._opened()).withdraw(state)

    async def _opened(self) -> RemoteAgent:
        async with self._loading:
            if self._agent is None:  # imports take their time: not the event loop's
                opens = await to_thread.run_sync(load, AGENTS, "a2a", f'agent "{self._name}"')
                self._agent = cast("Opens", opens)(self._entry())
        return self._agent

    async def aclose(self) -> None:
        """Close its connections."""
        agent, self._agent = self._agent, None
        if agent is not None:
            await agent.aclose()


class LazyTools:
    """A server of the config's tools that a package reaches, which is loaded when it is first used."""

    def __init__(self, name: str, entry: Callable[[], Entry]) -> None:
        """Load nothing yet; `entry` makes its entry when it is needed."""
        self._name = name
        self._entry = entry
        self._tools: RemoteTools | None = None
        self._loading = anyio.Lock()

    async def call(self, tool: str, arguments: Mapping[str, Any], ctx: Context) -> Any:
        """Call a tool, or go on with a call that has parked."""
        return await (await self._opened()).call(tool, arguments, ctx)

    async def listed(self) -> Mapping[str, Mapping[str, Any]]:
        """Return its tools."""
        return await (await self._opened()).listed()

    async def withdraw(self, state: Any) -> None:
        """End what a call has begun."""
        await (await self._opened()).withdraw(state)

    async def _opened(self) -> RemoteTools:
        async with self._loading:
            if self._tools is None:  # imports take their time: not the event loop's
                opens = await to_thread.run_sync(load, TOOLS, "mcp", f'server "{self._name}"')
                self._tools = cast("RemoteTools", opens(self._entry()))
        return self._tools

    async def aclose(self) -> None:
        """Close its connections."""
        tools, self._tools = self._tools, None
        if tools is not None:
            await tools.aclose()
