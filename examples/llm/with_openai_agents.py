"""Two agents of the OpenAI Agents SDK: the researcher uses a tool, the writer only writes."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from typing import Any

import offline
from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage, function_tool
from agents.items import TResponseOutputItem, TResponseStreamEvent
from board_tools import facts
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

RESEARCHER = "Look up the product, then say in one line what is worth telling."


async def research(prompt: str) -> str:
    """Ask the researcher; the SDK runs its loop of model and tool."""
    agent = Agent(name="researcher", instructions=RESEARCHER, tools=[function_tool(facts)])
    return await _asked(agent, prompt)


async def write(prompt: str, input: str) -> str:  # noqa: A002  agentflow passes the step's input by this name
    """Ask the writer, with the researcher's notes."""
    agent = Agent(name="writer", instructions="Write what you are asked for, from the notes alone.")
    return await _asked(agent, f"{prompt}\n\nNotes: {input}")


async def _asked(agent: Agent[None], prompt: str) -> str:
    model = "gpt-5.4-mini" if os.environ.get("OPENAI_API_KEY") else Scripted()
    # Traces would go to OpenAI, whichever model answers.
    run = await Runner.run(agent, prompt, run_config=RunConfig(model=model, tracing_disabled=True))
    return str(run.final_output)


class Scripted(Model):
    """A model for who has no key."""

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """Answer as the conversation so far asks for."""
        items, tools = kwargs.get("input"), kwargs.get("tools")
        prompt, found = _read(items)
        if not tools:
            return _response(_said(offline.draft(prompt)))
        if found:
            return _response(_said(offline.outline(found[-1])))
        arguments = json.dumps({"product": offline.look_up(prompt)})
        return _response(
            ResponseFunctionToolCall(name="facts", arguments=arguments, call_id="call-1", type="function_call")
        )

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        """Refuse: these agents are asked without streaming."""
        raise RuntimeError("the scripted model answers as a whole")


def _read(items: Any) -> tuple[str, list[str]]:
    if isinstance(items, str):
        return items, []
    prompt = next(str(item["content"]) for item in items if item.get("role") == "user")
    return prompt, [str(item["output"]) for item in items if item.get("type") == "function_call_output"]


def _said(text: str) -> ResponseOutputMessage:
    part = ResponseOutputText(text=text, type="output_text", annotations=[])
    return ResponseOutputMessage(id="message-1", content=[part], role="assistant", status="completed", type="message")


def _response(item: TResponseOutputItem) -> ModelResponse:
    return ModelResponse(output=[item], usage=Usage(), response_id=None)
