"""What a config adds to the server in Python, where a workflow doesn't say it: plain tools, prompts, resources.

```yaml
python: {modules: [shop_mcp]}
mcp: {additions: "shop_mcp:add"}
```

The function is called with `Additions` when a server is made. What it registers takes and gives what handlers of the
official SDK's low-level server do, in the SDK's own types.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from agentflow.config import Config
from agentflow.errors import AgentflowError, InputError

if TYPE_CHECKING:
    import mcp.types as types
    from pydantic import BaseModel

T = TypeVar("T")
Handler: TypeAlias = Callable[[Any, Any], Awaitable[Any]]
"""Takes the SDK's request context and params, gives its result."""
_OURS: Final = ("initialize", "prompts/", "resources/", "server/", "subscriptions/", "tasks/", "tools/")


@dataclass(frozen=True, slots=True)
class Added(Generic[T]):
    """Something that is listed, and what carries it out."""

    listed: T
    do: Handler


class Change(NamedTuple):
    """What clients that listen are told."""

    kind: Literal["tools", "prompts", "resources", "resource"]
    """Which list has changed, or that a resource has."""
    uri: str = ""


@dataclass(frozen=True, slots=True)
class Additions:
    """Takes what a config adds, when the server starts and later."""

    tools: dict[str, Added[types.Tool]] = field(default_factory=dict[str, Any])
    prompts: dict[str, Added[types.Prompt]] = field(default_factory=dict[str, Any])
    resources: dict[str, Added[types.Resource]] = field(default_factory=dict[str, Any])
    templates: dict[str, Added[types.ResourceTemplate]] = field(default_factory=dict[str, Any])
    requests: dict[str, Added[type[BaseModel]]] = field(default_factory=dict[str, Any])
    watchers: list[Callable[[Change], None]] = field(default_factory=list[Callable[[Change], None]])

    def tool(self, tool: types.Tool) -> Callable[[Handler], Handler]:
        """Add a tool; arguments that don't fit its schema don't reach its function."""
        return _register(self.tools, tool.name, tool)

    def prompt(self, prompt: types.Prompt) -> Callable[[Handler], Handler]:
        """Add a prompt."""
        return _register(self.prompts, prompt.name, prompt)

    def resource(self, resource: types.Resource) -> Callable[[Handler], Handler]:
        """Add a resource."""
        return _register(self.resources, str(resource.uri), resource)

    def template(self, template: types.ResourceTemplate) -> Callable[[Handler], Handler]:
        """Add resources whose addresses have the form of a template, with `{name}` for what differs."""
        return _register(self.templates, template.uri_template, template)

    def updated(self, uri: str) -> None:
        """Tell the clients that have subscribed to an added resource that it has changed."""
        self._tell(Change("resource", uri))

    def changed(self, kind: Literal["tools", "prompts", "resources"]) -> None:
        """Tell the clients that listen to it that a list has changed."""
        self._tell(Change(kind))

    def _tell(self, change: Change) -> None:
        for watcher in self.watchers:
            watcher(change)

    def reader(self, uri: str) -> Handler | None:
        """Return what reads an added resource; None: there is none at this address."""
        if uri in self.resources:
            return self.resources[uri].do
        return next((each.do for form, each in self.templates.items() if _form(form).fullmatch(uri)), None)

    def request(self, method: str, params: type[BaseModel]) -> Callable[[Handler], Handler]:
        """Answer requests that the server doesn't answer itself, and `completion/complete` for what is added.

        Raises:
            InputError: it does.
        """
        if method.startswith(_OURS):
            raise InputError(f'"{method}" is answered by the server itself', hint="add tools, prompts or resources")
        return _register(self.requests, method, params)


@cache
def _form(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]*\}", template)
    return re.compile("[^/]+".join(re.escape(part) for part in parts))


def _register(known: dict[str, Added[T]], name: str, listed: T) -> Callable[[Handler], Handler]:
    if name in known:
        raise InputError(f'"{name}" is added twice')

    def register(handler: Handler) -> Handler:
        known[name] = Added(listed, handler)
        return handler

    return register


def additions_of(config: Config) -> Additions | None:
    """Return what a config adds; None: nothing.

    Raises:
        AgentflowError: its module can't be imported, or its function fails.
    """
    if config.mcp.additions is None:
        return None
    from agentflow.steps.modules import ModuleLoader  # noqa: PLC0415  few configs add something

    found = Additions()
    loader = ModuleLoader(config.folder, config.python_modules)
    try:
        loader.load(config.mcp.additions)(found)
    except AgentflowError:
        raise
    except Exception as error:
        what = f"{config.mcp.additions} of mcp.additions failed"
        raise AgentflowError(what, code="AF-PYTHON-IMPORT", why=f"{type(error).__name__}: {error}") from error
    finally:
        loader.close()
    return found
