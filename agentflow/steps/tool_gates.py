"""Tools that somebody has to approve: whoever calls one, by whatever way, comes through here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

from agentflow.definition.gates import CALLED, ApproveCall
from agentflow.errors import StepError
from agentflow.expressions import Compiled, Condition, NamedValues, compile_condition, compile_value
from agentflow.steps.contract import Context, ToolProvider
from agentflow.steps.remote import RemoteTools


class ToolGate:
    """What is asked before a tool, or any tool of a server, is called."""

    def __init__(self, settings: ApproveCall) -> None:
        """Compile it; raises ExpressionError."""
        self.settings = settings
        self._message: Compiled | None = compile_value(settings.message, CALLED) if settings.message else None
        self._if: Condition | None = compile_condition(settings.if_, CALLED) if settings.if_ is not None else None

    def asks(self, call: Mapping[str, Any]) -> bool:
        """Tell whether a call is asked about; raises StepError where that can't be told."""
        return self._if is None or self._if.evaluate(NamedValues(call))

    def message(self, call: Mapping[str, Any]) -> str:
        """Return what is asked about a call."""
        if self._message is None:
            return f"Let the tool {call['tool']} be called?"
        return str(self._message.render(NamedValues(call)))


def gates_of(tools: Mapping[str, Mapping[str, Any]]) -> dict[str, ToolGate]:
    """Return the gates of a config's tools and servers, by their names."""
    gates = {name: entry["approve"] for name, entry in tools.items() if entry.get("approve") is not None}
    return {name: ToolGate(ApproveCall.model_validate(settings)) for name, settings in gates.items()}


class Asking(Protocol):
    """What a context has that can ask."""

    async def approved(
        self, gate: ToolGate, tool: str, server: str | None, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return the arguments of a call as they were approved; raises StepError, or Asked: it has to wait."""
        ...


async def approved(
    gate: ToolGate, tool: str, server: str | None, arguments: Mapping[str, Any], ctx: Context
) -> Mapping[str, Any]:
    """Return the arguments of a call as they were approved; raises StepError, or Asked: it has to wait."""
    if not hasattr(ctx, "approved"):
        what = f'tool "{tool}" has to be approved, and nobody can be asked here'
        raise StepError(what, code="AF-APPROVAL-REJECTED", kind="wait", retryable=False)
    return await cast("Asking", ctx).approved(gate, tool, server, arguments)


class GatedServer:
    """A server whose tools are called only when that is approved."""

    def __init__(self, provider: ToolProvider, name: str, gate: ToolGate, *, meant: bool) -> None:
        """Guard a server; `meant`: it was named, so that whether it has a tool is nobody else's matter."""
        self._provider = provider
        self._name = name
        self._gate = gate
        self._meant = meant

    async def call(self, tool: str, arguments: Mapping[str, Any], ctx: Context) -> Any:
        """Call a tool that somebody has approved. A call that goes on there has begun: nobody is asked again."""
        if _goes_on(ctx.state, self._name):
            return await self._provider.call(tool, arguments, ctx)
        if not self._meant and isinstance(self._provider, RemoteTools) and tool not in await self._provider.listed():
            raise LookupError(tool)
        told = await approved(self._gate, tool, self._name, arguments, ctx)
        return await self._provider.call(tool, told, ctx)


def _goes_on(state: Any, server: str) -> bool:
    return isinstance(state, dict) and cast("dict[str, Any]", state).get("server") == server
