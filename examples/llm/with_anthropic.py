"""Anthropic's plain client: the researcher's loop of model and tool is written out."""

from __future__ import annotations

import json
import os
from typing import Any

import httpx2
import offline
from anthropic import AsyncAnthropic
from anthropic.types import Message
from board_tools import facts

MODEL = "claude-sonnet-5-5"
MOST = 1_000
TOOL: Any = {
    "name": "facts",
    "description": "Look up what is known about a product.",
    "input_schema": {"type": "object", "properties": {"product": {"type": "string"}}, "required": ["product"]},
}


async def research(prompt: str) -> str:
    """Ask until the model has used no more tools."""
    messages: list[Any] = [{"role": "user", "content": prompt}]
    async with _client() as client:
        while True:
            answer = await client.messages.create(model=MODEL, max_tokens=MOST, messages=messages, tools=[TOOL])
            uses = [block for block in answer.content if block.type == "tool_use"]
            if not uses:
                return _text(answer)
            results = [
                {"type": "tool_result", "tool_use_id": use.id, "content": facts(str(use.input["product"]))}
                for use in uses
            ]
            messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]


async def write(prompt: str, input: str) -> str:  # noqa: A002  agentflow passes the step's input by this name
    """Ask once, with the researcher's notes."""
    messages: list[Any] = [{"role": "user", "content": f"{prompt}\n\nNotes: {input}"}]
    async with _client() as client:
        return _text(await client.messages.create(model=MODEL, max_tokens=MOST, messages=messages))


def _text(answer: Message) -> str:
    return "".join(block.text for block in answer.content if block.type == "text")


def _client() -> AsyncAnthropic:
    if os.environ.get("ANTHROPIC_API_KEY"):
        return AsyncAnthropic()
    transport = httpx2.MockTransport(_scripted)
    return AsyncAnthropic(api_key="none", http_client=httpx2.AsyncClient(transport=transport))


def _scripted(request: httpx2.Request) -> httpx2.Response:
    """Answer as the service would, for who has no key."""
    asked = json.loads(request.content)
    first, last = asked["messages"][0]["content"], asked["messages"][-1]["content"]
    if "tools" not in asked:
        return _answer({"type": "text", "text": offline.draft(first)}, "end_turn")
    if last is not first:
        return _answer({"type": "text", "text": offline.outline(last[-1]["content"])}, "end_turn")
    use = {"type": "tool_use", "id": "use-1", "name": "facts", "input": {"product": offline.look_up(first)}}
    return _answer(use, "tool_use")


def _answer(block: dict[str, Any], reason: str) -> httpx2.Response:
    message = {"id": "message-1", "type": "message", "role": "assistant", "model": MODEL, "content": [block]}
    usage = {"input_tokens": 40, "output_tokens": 20}
    return httpx2.Response(200, json={**message, "stop_reason": reason, "stop_sequence": None, "usage": usage})
