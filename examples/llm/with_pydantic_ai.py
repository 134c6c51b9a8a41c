"""Two agents of Pydantic AI: the researcher uses a tool, the writer only writes."""

from __future__ import annotations

import os

import offline
from board_tools import facts
from pydantic_ai import Agent, ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel

researcher = Agent(instructions="Look up the product, then say in one line what is worth telling.", tools=[facts])
writer = Agent(instructions="Write what you are asked for, from the notes alone.")


async def research(prompt: str) -> str:
    """Ask the researcher; Pydantic AI runs its loop of model and tool."""
    return (await researcher.run(prompt, model=_model())).output


async def write(prompt: str, input: str) -> str:  # noqa: A002  agentflow passes the step's input by this name
    """Ask the writer, with the researcher's notes."""
    return (await writer.run(f"{prompt}\n\nNotes: {input}", model=_model())).output


def _model() -> Model | str:
    return "openai:gpt-5.4-mini" if os.environ.get("OPENAI_API_KEY") else FunctionModel(_scripted)


async def _scripted(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    parts = [part for message in messages for part in message.parts]
    prompt = next(str(part.content) for part in parts if isinstance(part, UserPromptPart))
    found = [str(part.content) for part in parts if isinstance(part, ToolReturnPart)]
    if not info.function_tools:
        return ModelResponse(parts=[TextPart(offline.draft(prompt))])
    if found:
        return ModelResponse(parts=[TextPart(offline.outline(found[-1]))])
    return ModelResponse(parts=[ToolCallPart("facts", {"product": offline.look_up(prompt)})])
