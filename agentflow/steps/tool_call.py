"""`tool_call`: one call of a tool: a Python function, or a provider's, such as an MCP server's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from agentflow.credentials import NotConnected
from agentflow.data import is_object
from agentflow.definition.models import Model
from agentflow.errors import StepError
from agentflow.steps.contract import Context, Outcome, Park, Result, Services, StepType
from agentflow.steps.failing import is_cancellation, step_error
from agentflow.steps.fields import Name
from agentflow.steps.remote import RemoteTools
from agentflow.steps.results import read_text
from agentflow.steps.services import ProcessServices, services_of


class ToolCallConfig(Model):
    """Which tool is called, and with what."""

    tool_name: Name
    """Name of the tool."""
    input: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Its arguments."""
    server: Name | None = None
    """The provider in the config's `tools` that has it; default: whichever has it, functions first."""


async def execute(config: ToolCallConfig, ctx: Context) -> Outcome:
    """Call the tool, or go on with a call that has parked or was broken off."""
    value = await called(config.tool_name, config.input, _server(ctx.state) or config.server, ctx)
    if isinstance(value, Park | Result):
        return value
    if value is None or isinstance(value, str):
        return Result(read_text(value or ""))
    return Result(value)


async def called(name: str, arguments: Mapping[str, Any], server: str | None, ctx: Context) -> Any:
    """Call a tool, within the limits of the step, and return what its provider gives.

    Raises:
        StepError: there is no such tool, it may not be called here, or it failed.
    """
    services = services_of(ctx)
    services.limits.check_tool(name, server)
    provider = services.tool(name, server)
    try:
        return await provider.call(name, arguments, ctx)
    except LookupError as error:
        what = f"Tool '{name}' not found"
        raise StepError(
            what, code="AF-TOOL-UNKNOWN", kind="invalid", retryable=False, hint=_hint(error, name)
        ) from None
    except (StepError, NotConnected):
        raise
    except BaseException as error:
        if is_cancellation(error):
            raise
        raise step_error(error, code="AF-TOOL-FAILED") from error


async def withdraw(state: Any, services: Services) -> None:
    """End what a tool still does for a step that has ended, given its last state, which names the server.

    Raises:
        StepError: the server can't be told.
    """
    server = _server(state)
    if server is not None and isinstance(services, ProcessServices):
        tools = services.servers.get(server)
        if isinstance(tools, RemoteTools):
            await tools.withdraw(state)


def _server(state: Any) -> str | None:
    """Return the server that a state is of."""
    server = state.get("server") if is_object(state) else None
    return server if isinstance(server, str) else None


def _hint(error: LookupError, name: str) -> str:
    hint = error.args[0] if error.args else None
    if isinstance(hint, str) and hint and hint != name:
        return hint
    return f'tools: {{{name}: …}} in the config; in Python tools={{"{name}": …}}'


TYPES: tuple[StepType, ...] = (
    StepType(
        name="tool_call",
        config=ToolCallConfig,
        summary="Calls one tool; the result is its data, or {output: text}.",
        execute=execute,
        skills=("native:tool",),
        outbound=("input",),
        timeout=60.0,
        takes_input=True,
        unsafe=True,
        spends=True,
        withdraw=withdraw,
    ),
)
