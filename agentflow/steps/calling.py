"""Calls of tools from inside of a step's code, such as an agent's, within what the step may."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

from agentflow.errors import StepError
from agentflow.steps.contract import Context, Park, Result
from agentflow.steps.tool_call import called
from agentflow.steps.tool_gates import ToolGate
from agentflow.steps.unset import UNSET


class Call(Protocol):
    """One call."""

    @property
    def number(self) -> int:
        """How many the step has made before."""
        ...

    @property
    def given(self) -> Any:
        """What it has given before; UNSET: it is to be made."""
        ...


class Calls(Protocol):
    """Counts and remembers the calls of an attempt."""

    async def begin(self, tool: str, server: str | None, arguments: Mapping[str, Any]) -> Call:
        """Begin a call."""
        ...

    def inside(self, call: Any) -> Any:
        """Note that code is inside of a call; returns what `ended` takes."""
        ...

    def ended(self, call: Any, token: Any) -> None:
        """Note that a call is over."""
        ...

    def remember(self, call: Any, value: Any) -> Any:
        """Return what a call has given."""
        ...


async def call_tool(
    ctx: Context, name: str, arguments: Mapping[str, Any], server: str | None, calls: Calls, allowed: object
) -> Any:
    """Call a tool for a step's code, and note the call in the step's log.

    Args:
        ctx: the step's context.
        name: the tool's.
        arguments: by name.
        server: whose tool it is; default: whoever has it.
        calls: of the attempt: each has an idempotency key of its own, the same in every attempt that makes the same
            calls.
        allowed: of an agent's turn: the tools that its step gives it; None: any.

    Raises:
        StepError: there is no such tool, the step may not call it, or it failed.
    """
    if isinstance(allowed, tuple | list) and name not in allowed:
        given = ", ".join(map(str, allowed)) or "none"  # pyright: ignore[reportUnknownArgumentType]  names
        raise StepError(
            f'the agent may not call tool "{name}": its step gives it {given}',
            code="AF-TOOL-UNKNOWN", kind="invalid", retryable=False, hint=f"tools: [{name}]",
        )  # fmt: skip
    call = await calls.begin(name, server, arguments)
    if call.given is not UNSET:
        ctx.log(f"tool {name}: answered before")
        return call.given
    token = calls.inside(call)
    try:
        value = await called(name, arguments, server, _Inside(ctx, call))  # pyright: ignore[reportArgumentType]  it has all that a context has
        if isinstance(value, Park):
            what = f'tool "{name}" goes on by itself elsewhere, which only a tool_call step can wait for'
            raise StepError(what, code="AF-TOOL-FAILED", retryable=False)
        value = calls.remember(call, value.value if isinstance(value, Result) else value)
    except StepError as error:
        ctx.log(f"tool {name}: {error.code}: {error.what}", "warning")
        raise
    finally:
        calls.ended(call, token)
    ctx.log(f"tool {name}: answered")
    return value


class _Inside:
    """The step's context for one call: with a key of its own, and none of the state that is the step's."""

    state = None
    arrived = None

    def __init__(self, ctx: Any, call: Call) -> None:
        self._ctx = ctx
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    @property
    def idempotency_key(self) -> str:
        text = f"{self._ctx.idempotency_key}/{self._call.number}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    async def approved(
        self, gate: ToolGate, tool: str, server: str | None, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return the arguments of this call as they were approved, or have the attempt wait."""
        return await self._ctx.approved(gate, tool, server, arguments, self._call)

    async def save(self, state: Any) -> None:
        """Keep nothing: what is broken off is called again with the step."""
