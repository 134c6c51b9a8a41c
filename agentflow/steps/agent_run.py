"""`agent_run`: one turn of an agent: a Python callable, or a provider's, such as a remote agent."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from agentflow.credentials import NotConnected
from agentflow.data import copied, is_object
from agentflow.definition.models import Model
from agentflow.errors import StepError
from agentflow.steps.contract import (
    AgentAsks,
    AgentTurn,
    Context,
    Outcome,
    Park,
    Result,
    Services,
    StepType,
    Wait,
)
from agentflow.steps.failing import is_cancellation, step_error
from agentflow.steps.fields import Name
from agentflow.steps.outcomes import not_a_result
from agentflow.steps.remote import RemoteAgent
from agentflow.steps.services import ProcessServices, services_of

_ASKED = "agent_asked"
"""Marks a state as the agent's own, kept while its question is open; anything else was saved inside a turn."""
_AGENT = "agent"
"""Where the state of a remote agent names it, so that it can be told to stop whatever has become of the step."""


class AgentRunConfig(Model):
    """Which agent is asked, and what."""

    agent: Name
    """Name of the agent in the config's `agents`."""
    prompt: Any = None
    """What it is asked: text, or data."""
    input: Any = None
    """Data that goes with the prompt."""
    tools: tuple[Name, ...] = ()
    """Tools that it may use."""
    skills: tuple[Name, ...] = ()
    """Skills that it may use."""
    model: Name | None = None
    """The model that it is to use."""
    max_iterations: int | None = Field(default=None, ge=1)
    """How many rounds it may take."""


async def execute(config: AgentRunConfig, ctx: Context) -> Outcome:
    """Run one turn; what the agent asks becomes a wait, and the answer goes back to it."""
    services = services_of(ctx)
    services.limits.check_agent(config.agent)
    provider = services.agent(config.agent)
    turn = AgentTurn(
        agent=config.agent,
        prompt=config.prompt,
        input=copied(config.input),
        tools=config.tools,
        skills=config.skills,
        model=config.model,
        max_iterations=config.max_iterations,
    )
    state = ctx.state
    try:
        if is_object(state) and state.keys() == {_ASKED}:
            value = await provider.answer(turn, state[_ASKED], ctx.arrived, ctx)
        else:
            value = await provider.run(turn, ctx)
    except (StepError, NotConnected):
        raise
    except BaseException as error:
        if is_cancellation(error):
            raise
        raise step_error(error, code="AF-AGENT-FAILED") from error
    if isinstance(value, AgentAsks):
        return Park(value.wait, state={_ASKED: value.state}, then="enter")
    if isinstance(value, Wait | Park):
        raise not_a_result(value, "an agent asks", "AgentAsks")
    if value is None or isinstance(value, str):
        return Result({"output": (value or "").strip()})
    return Result(value)


async def withdraw(state: Any, services: Services) -> None:
    """End what a turn has begun at a remote agent, given its last state, which names the agent.

    Raises:
        StepError: the agent can't be told.
    """
    asked = state[_ASKED] if is_object(state) and state.keys() == {_ASKED} else state
    name = asked.get(_AGENT) if is_object(asked) else None
    if isinstance(name, str) and isinstance(services, ProcessServices):
        agent = services.agent(name)
        if isinstance(agent, RemoteAgent):
            await agent.withdraw(asked)


TYPES: tuple[StepType, ...] = (
    StepType(
        name="agent_run",
        config=AgentRunConfig,
        summary="Asks an agent; the result is its data, or {output: text}.",
        execute=execute,
        skills=("native:agent",),
        outbound=("prompt", "input"),
        timeout=600.0,
        takes_input=True,
        unsafe=True,
        spends=True,
        turns=True,
        withdraw=withdraw,
    ),
)
