"""Python functions as tools and as agents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeAlias

from agentflow.definition.json_schema import errors_of, make_validator
from agentflow.errors import StepError
from agentflow.steps.contract import AgentAsks, AgentTurn, Context, ToolProvider
from agentflow.steps.functions import arrange, call, fits_by_name, fitted, invoke, shape_of
from agentflow.steps.spent import tell_found
from agentflow.steps.tool_gates import ToolGate, approved

Loader: TypeAlias = Callable[[str], Awaitable[Callable[..., Any]]]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the nearest of the known names, or the few that there are."""
    names = sorted(known)
    near = get_close_matches(name, names, 1)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"known: {', '.join(names[:5])}" if names else None


class FunctionTools:
    """The tools that are Python functions."""

    def __init__(self, load: Loader, gates: Mapping[str, ToolGate] | None = None) -> None:
        """Make an empty set.

        Args:
            load: finds a function by `module:function`.
            gates: of tools that somebody has to approve, by name.
        """
        self._load = load
        self._gates = gates or {}
        self._tools: dict[str, Callable[..., Any] | str] = {}
        self._schemas: dict[str, Mapping[str, Any]] = {}
        self._given: set[str] = set()
        """Tools whose schemas the config gives."""

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a tool of this name."""
        return name in self._tools

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the tools."""
        return iter(self._tools)

    def add(self, name: str, tool: Callable[..., Any] | str, schema: Mapping[str, Any] | None = None) -> None:
        """Add a function, or its name `module:function`, which is imported on first use.

        Args:
            name: the tool's.
            tool: the function.
            schema: of its arguments; default: what its signature says.
        """
        self._tools[name] = tool
        self._schemas.pop(name, None)
        self._given.discard(name)
        if schema is not None:
            self._schemas[name] = schema
            self._given.add(name)

    async def schema(self, name: str) -> Mapping[str, Any]:
        """Return the schema of a tool's arguments; raises StepError where its function can't be imported."""
        known = self._schemas.get(name)
        if known is None:
            from agentflow.steps.signatures import schema_of  # noqa: PLC0415  only who calls functions as tools

            known = self._schemas[name] = schema_of(await self._function(name))
        return known

    async def _function(self, name: str) -> Callable[..., Any]:
        found = self._tools[name]
        return await self._load(found) if isinstance(found, str) else found

    async def call(self, tool: str, arguments: Mapping[str, Any], ctx: Context) -> Any:
        """Call a function with the arguments by name.

        Raises:
            LookupError: there is no such tool.
            StepError: the arguments don't fit, or it raised.
        """
        if tool not in self._tools:
            raise LookupError(nearest(tool, self._tools) or tool)
        function = await self._function(tool)
        await self._check(tool, function, arguments)
        gate = self._gates.get(tool)
        if gate is not None:
            arguments = await approved(gate, tool, None, arguments, ctx)
            await self._check(tool, function, arguments)  # somebody may have changed them
        value = await call(function, dict(arguments), ctx, name=tool, code="AF-TOOL-FAILED")
        tell_found(ctx, value)
        return value

    async def _check(self, tool: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        misfits = errors_of(make_validator(await self.schema(tool)), dict(arguments))
        if misfits and (tool in self._given or fits_by_name(function, arguments)):
            raise StepError(
                f'The input doesn\'t fit tool "{tool}": {"; ".join(misfits)}',
                code="AF-TOOL-ARGUMENTS", kind="invalid", retryable=False,
            )  # fmt: skip


class AnyTools:
    """Several providers as one: the first that has a tool is it."""

    def __init__(self, providers: Sequence[ToolProvider]) -> None:
        """Make it of providers, in order."""
        self._providers = providers

    async def call(self, tool: str, arguments: Mapping[str, Any], ctx: Context) -> Any:
        """Call the tool of the first provider that has it.

        Raises:
            LookupError: none has it.
        """
        hint = ""
        for provider in self._providers:
            try:
                return await provider.call(tool, arguments, ctx)
            except LookupError as error:
                hint = hint or str(error)
        raise LookupError(hint)


class FunctionAgent:
    """An agent that is a Python function.

    The function gets what its parameters name: `prompt`, `input`, `tools`, `skills`, `model`, `max_iterations`, `turn`
    (all of it), `ctx`; after it returned `AgentAsks` it is called again with `answer` and `state` too. Its first
    parameter is the prompt where it names none of them.
    """

    def __init__(self, name: str, function: Callable[..., Any] | str, load: Loader) -> None:
        """Make an agent; `load` finds a function by `module:function`."""
        self._name = name
        self._function = function
        self._load = load

    async def run(self, turn: AgentTurn, ctx: Context) -> Any | AgentAsks:
        """Call the function."""
        return await self._call(turn, ctx, {})

    async def answer(self, turn: AgentTurn, state: Any, answer: Any, ctx: Context) -> Any | AgentAsks:
        """Call the function again, with the answer."""
        return await self._call(turn, ctx, {"answer": answer, "state": state})

    async def _call(self, turn: AgentTurn, ctx: Context, more: Mapping[str, Any]) -> Any | AgentAsks:
        function = await self._load(self._function) if isinstance(self._function, str) else self._function
        shape = shape_of(function)
        offered: dict[str, Any] = {
            "prompt": turn.prompt,
            "input": turn.input,
            "tools": turn.tools,
            "skills": turn.skills,
            "model": turn.model,
            "max_iterations": turn.max_iterations,
            "turn": turn,
            **more,
        }
        given = {key: value for key, value in offered.items() if shape.rest is not None or key in shape.names}
        missing = [name for name in shape.required if name not in given]
        if len(missing) == 1 and missing[0] == shape.required[0] and "prompt" not in given:
            given[missing.pop()] = turn.prompt
        if more and "answer" not in given:
            missing.append("answer")
        if missing:
            raise StepError(
                f'agent "{self._name}": its function can\'t be called: it has to take {", ".join(missing)}'
                if missing == ["answer"]
                else f'agent "{self._name}": its function wants {", ".join(missing)}, which no agent is given',
                code="AF-AGENT-FAILED",
                kind="invalid",
                retryable=False,
            )
        if shape.rest is not None:
            others = {key: given.pop(key) for key in list(given) if key not in shape.names}
            given[shape.rest] = others
        told = {key: value for key, value in given.items() if value is not None}  # what its step doesn't say is null
        given |= fitted(shape, told, f'agent "{self._name}": its function')
        args, keywords = arrange(shape, given, ctx)
        value = await invoke(function, shape, args, keywords, code="AF-AGENT-FAILED")
        tell_found(ctx, value)
        return value
