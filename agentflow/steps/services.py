"""What one engine's process offers to steps: functions, tools, agents, HTTP, secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from anyio import to_thread

from agentflow.credentials import Book
from agentflow.errors import Defect, StepError
from agentflow.expressions import NamedValues, compile_value
from agentflow.steps.connected import ConnectedAgent, ConnectedTools, Ways
from agentflow.steps.contract import AgentProvider, Context, ToolProvider
from agentflow.steps.limits import SkillLimits
from agentflow.steps.modules import ModuleLoader
from agentflow.steps.providers import AnyTools, FunctionAgent, FunctionTools, nearest
from agentflow.steps.remote import Entry, LazyAgent, LazyTools, RemoteAgent, RemoteTools
from agentflow.steps.signing import Signing
from agentflow.steps.tool_gates import GatedServer, ToolGate
from agentflow.usage import Prices

if TYPE_CHECKING:
    import httpx

    from agentflow.steps.network import Resolve

ToolSource: TypeAlias = "ToolProvider | Callable[..., Any] | Mapping[str, Any]"
"""A provider of many tools (a server), a function that is one tool, or an entry of the config."""
AgentSource: TypeAlias = "AgentProvider | Callable[..., Any] | Mapping[str, Any]"
"""A provider, a function, or an entry of the config: `{python: "module:function"}`, or `{url: …}`."""


class HttpSettings(Protocol):
    """The config's `http`."""

    @property
    def base_url(self) -> str | None:
        """What relative urls go below."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of each request to the base url's origin; of all requests where there is no base url."""
        ...


class ProcessServices:
    """Implements `contract.Services` for one engine. Close it with the engine."""

    def __init__(
        self,
        *,
        folder: Path | None = None,
        python_modules: Sequence[str] = (),
        functions: Mapping[str, Callable[..., Any]] | None = None,
        env_values: Mapping[str, str] | None = None,
        http: HttpSettings | None = None,
        skills: Mapping[str, Mapping[str, Any]] | None = None,
        resolve: Resolve | None = None,
        tools: Mapping[str, ToolSource] | None = None,
        agents: Mapping[str, AgentSource] | None = None,
        credentials: Mapping[str, Mapping[str, Any]] | None = None,
        book: Book | None = None,
        prices: Prices | None = None,
        gates: Mapping[str, ToolGate] | None = None,
    ) -> None:
        """Make the services; nothing is imported or opened yet.

        Args:
            folder: the config's folder: modules are found there, scripts run there.
            python_modules: modules that python steps, tools and agents may import.
            functions: functions given in Python, by any name a python step may use.
            env_values: values of the config's `env`, secrets included.
            http: base url and headers of api_call.
            skills: granted native skills with their limits.
            resolve: finds a host's addresses; default: the system's resolver.
            tools: by name: functions, or providers (servers).
            agents: by name.
            credentials: the config's `connections`, for servers that have tools.
            book: gives credentials where no step asks for them.
            prices: what tokens of models cost.
            gates: of tools and servers that somebody has to approve, by their names.

        Raises:
            ValueError: the limits aren't understood.
        """
        from agentflow.steps.network import Policy  # noqa: PLC0415  kept beside what it checks

        self.folder = folder
        self.prices = prices or Prices()
        self.http_settings = http
        self.book: Book | None = book
        """Gives credentials where no step asks for them."""
        self._functions: dict[str, Callable[..., Any]] = dict(functions or {})
        self._given: dict[str, Callable[..., Any]] = {}
        """Functions that steps were given as objects."""
        self._loader = ModuleLoader(folder, python_modules)
        self._loaded: dict[str, Callable[..., Any]] = {}
        self._secrets = dict(env_values or {})
        self._credentials = dict(credentials or {})
        self.limits = SkillLimits(skills or {})
        self._policy = Policy.of(self.limits.network, resolve=resolve)
        self._client: httpx.AsyncClient | None = None
        self.gates: Mapping[str, ToolGate] = gates or {}
        """Of tools, and of servers, that somebody has to approve."""
        self._tool_functions = FunctionTools(self.function, self.gates)
        self._servers: dict[str, ToolProvider] = {}
        self._agents: dict[str, AgentProvider] = {}
        for name, tool in (tools or {}).items():
            self.add_tool(name, tool)
        for name, agent in (agents or {}).items():
            self.add_agent(name, agent)

    def python(self, target: str) -> Callable[..., Any]:
        """Return the function `module:function`.

        Raises:
            StepError: it isn't allowed or isn't there.
        """
        function = self.loaded(target)
        if function is None:
            function = self._loaded[target] = self._loader.load(target)
        return function

    def loaded(self, target: str) -> Callable[..., Any] | None:
        """Return the function `module:function`, if it was used before."""
        return self._functions.get(target) or self._given.get(target) or self._loaded.get(target)

    def knows(self, target: str) -> bool:
        """Tell whether the function `module:function` was given, or its module may be imported."""
        return self.loaded(target) is not None or self._loader.allows(target.partition(":")[0])

    async def function(self, target: str) -> Callable[..., Any]:
        """Return the function `module:function`; its module is imported outside of the loop's thread."""
        return self.loaded(target) or await to_thread.run_sync(self.python, target)

    def place(self, path: str) -> Path:
        """Return a file or folder that a step names, from the config's folder, links followed.

        Raises:
            StepError: `native:filesystem` leaves it out.
        """
        from agentflow.steps.shell_limits import allowed_place  # noqa: PLC0415  few steps name one

        return allowed_place(self.limits.filesystem, path, self.folder or Path.cwd())

    def check_function(self, target: str) -> None:
        """Refuse a function that a python step may not name; raises StepError. One that is given in Python is meant."""
        if target not in self._functions and target not in self._given:
            self.limits.check_function(target)

    def add_function(self, name: str, function: Callable[..., Any]) -> None:
        """Add a function that a step was given; one that the engine was given by that name comes before it."""
        self._given[name] = function

    def secret(self, name: str) -> str | None:
        """Return a value of the config's `env`, or None."""
        return self._secrets.get(name)

    @property
    def http(self) -> httpx.AsyncClient:
        """The engine's one HTTP client, made on first use, which keeps to the rules of `native:network`."""
        if self._client is None:
            from agentflow.steps.http_client import guarded_client  # noqa: PLC0415  httpx costs its import

            self._client = guarded_client(self._policy)
        return self._client

    def add_tool(self, name: str, tool: ToolSource) -> None:
        """Add a tool, or a server that has tools."""
        if isinstance(tool, Mapping):
            fields = cast("Mapping[str, Any]", tool)
            target = fields.get("python")
            if isinstance(target, str):
                self._tool_functions.add(name, target, fields.get("input_schema"))
            else:
                self._servers[name] = self._server(name, fields)
        elif hasattr(tool, "call"):
            self._servers[name] = cast("ToolProvider", tool)
        else:
            self._tool_functions.add(name, cast("Callable[..., Any]", tool))

    def _of_owners(self, fields: Mapping[str, Any], *, client: bool) -> str | None:
        """Return the connection of an entry that each owner has for himself, or that signs requests one by one.

        Args:
            fields: the entry.
            client: whether its protocol gets tokens for the client itself.
        """
        connection = fields.get("connection")
        if not isinstance(connection, str):
            return None
        entry = self._credentials.get(connection) or self._credentials.get(connection.partition(":")[0])
        if entry is None:
            return None
        kind = entry.get("type", "oauth2")
        own = kind == "oauth2" and not (client and entry.get("grant") == "client_credentials")
        return connection if own or kind == "hmac" or "query" in entry else None

    def _books(self) -> Book:
        if self.book is None:
            raise Defect("nobody has credentials here")
        return self.book

    def _entry(self, name: str, fields: Mapping[str, Any], signing: Signing | None = None) -> Entry:
        """Return an entry of the config for those who reach its server, templates of `env` computed."""
        connection = fields.get("connection") if signing is None else None
        given = None if connection is None else self._credentials.get(connection)
        if connection is not None and given is None:
            near = nearest(connection, self._credentials)
            raise _unknown(f"Connection '{connection}' not found", "AF-CONNECTION-UNKNOWN", near)
        return Entry(
            name,
            self._computed(fields),
            self.secret,
            self._policy.resolve,
            self._policy,
            self.folder,
            None if given is None else self._computed(given),
            signing,
            "{" in str(fields.get("url") or ""),
        )

    def _server(self, name: str, fields: Mapping[str, Any]) -> ToolProvider:
        connection = self._of_owners(fields, client=True)
        if connection is None:
            return LazyTools(name, partial(self._entry, name, fields))

        def opened(signing: Signing) -> LazyTools:
            return LazyTools(name, partial(self._entry, name, fields, signing))

        return ConnectedTools(name, Ways(name, connection, self._books, opened))

    def _agent(self, name: str, fields: Mapping[str, Any]) -> AgentProvider:
        connection = self._of_owners(fields, client=False)
        if connection is None:
            return LazyAgent(name, partial(self._entry, name, fields))

        def opened(signing: Signing) -> LazyAgent:
            return LazyAgent(name, partial(self._entry, name, fields, signing))

        return ConnectedAgent(name, Ways(name, connection, self._books, opened))

    def _computed(self, value: Mapping[str, Any]) -> dict[str, Any]:
        rendered: dict[str, Any] = compile_value(dict(value), frozenset({"env"})).render(
            NamedValues({"env": self._secrets})
        )
        return rendered

    def add_agent(self, name: str, agent: AgentSource) -> None:
        """Add an agent: a function, a provider, or an entry of the config."""
        if isinstance(agent, Mapping):
            fields = cast("Mapping[str, Any]", agent)
            target = fields.get("python")
            if isinstance(target, str):
                self._agents[name] = FunctionAgent(name, target, self.function)
            elif fields.get("url"):
                self._agents[name] = self._agent(name, fields)
        elif hasattr(agent, "run") and hasattr(agent, "answer"):
            self._agents[name] = cast("AgentProvider", agent)
        else:
            self._agents[name] = FunctionAgent(name, cast("Callable[..., Any]", agent), self.function)

    def tool(self, name: str, server: str | None = None) -> ToolProvider:
        """Return who has a tool.

        Raises:
            StepError: there is no such tool, or no such server.
        """
        if server is not None:
            provider = self._servers.get(server)
            if provider is None:
                raise _unknown(
                    f"Tool '{name}' not found: there is no server \"{server}\"",
                    "AF-TOOL-UNKNOWN",
                    nearest(server, self._servers),
                )
            return self._guarded(server, provider, meant=True)
        if name in self._tool_functions or not self._servers:
            return self._tool_functions
        servers = self._servers.items()
        return AnyTools((self._tool_functions, *(self._guarded(*item, meant=False) for item in servers)))

    def _guarded(self, server: str, provider: ToolProvider, *, meant: bool) -> ToolProvider:
        gate = self.gates.get(server)
        return provider if gate is None else GatedServer(provider, server, gate, meant=meant)

    @property
    def tool_functions(self) -> FunctionTools:
        """The tools that are Python functions."""
        return self._tool_functions

    @property
    def servers(self) -> Mapping[str, ToolProvider]:
        """The servers that have tools, by name."""
        return self._servers

    @property
    def agents(self) -> Mapping[str, AgentProvider]:
        """The agents by name."""
        return self._agents

    def agent(self, name: str) -> AgentProvider:
        """Return an agent.

        Raises:
            StepError: there is no such agent.
        """
        provider = self._agents.get(name)
        if provider is None:
            hint = (
                nearest(name, self._agents) or f'agents: {{{name}: …}} in the config; in Python agents={{"{name}": …}}'
            )
            raise _unknown(f"Agent '{name}' not found", "AF-AGENT-UNKNOWN", hint)
        return provider

    async def aclose(self) -> None:
        """Close the connections."""
        self._loader.close()
        for agent in self._agents.values():
            if isinstance(agent, RemoteAgent):
                await agent.aclose()
        for server in self._servers.values():
            if isinstance(server, RemoteTools):
                await server.aclose()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def services_of(ctx: Context) -> ProcessServices:
    """Return the services of a step's process."""
    services = ctx.services
    if not isinstance(services, ProcessServices):
        raise Defect("this step type needs an engine's own services")
    return services


async def load_function(target: str, ctx: Context) -> Callable[..., Any]:
    """Return the function `module:function`, imported on first use."""
    services = ctx.services
    if not isinstance(services, ProcessServices):
        return services.python(target)
    return services.loaded(target) or await services.function(target)


def _unknown(what: str, code: str, hint: str | None) -> StepError:
    return StepError(what, code=code, kind="invalid", retryable=False, hint=hint)
