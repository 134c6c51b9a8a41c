"""The plain OpenAI client: the researcher's loop of model and tool is written out."""

from __future__ import annotations

import json
import os
from typing import Any

import httpx2
import offline
from board_tools import facts
from openai import AsyncOpenAI

MODEL = "gpt-5.4-mini"
TOOL: Any = {
    "type": "function",
    "name": "facts",
    "description": "Look up what is known about a product.",
    "parameters": {
        "type": "object",
        "properties": {"product": {"type": "string"}},
        "required": ["product"],
        "additionalProperties": False,
    },
    "strict": True,
}


async def research(prompt: str) -> str:
    """Ask until the model has called no more tools."""
    items: list[Any] = [{"role": "user", "content": prompt}]
    async with _client() as client:
        while True:
            answer = await client.responses.create(model=MODEL, input=items, tools=[TOOL])
            calls = [item for item in answer.output if item.type == "function_call"]
            if not calls:
                return answer.output_text
            items += [item.model_dump(mode="json", exclude_none=True) for item in answer.output]
            for call in calls:
                found = facts(**json.loads(call.arguments))
                items.append({"type": "function_call_output", "call_id": call.call_id, "output": found})


async def write(prompt: str, input: str) -> str:  # noqa: A002  agentflow passes the step's input by this name
    """Ask once, with the researcher's notes."""
    async with _client() as client:
        answer = await client.responses.create(model=MODEL, input=f"{prompt}\n\nNotes: {input}")
    return answer.output_text


def _client() -> AsyncOpenAI:
    if os.environ.get("OPENAI_API_KEY"):
        return AsyncOpenAI()
    transport = httpx2.MockTransport(_scripted)
    return AsyncOpenAI(api_key="none", http_client=httpx2.AsyncClient(transport=transport))


def _scripted(request: httpx2.Request) -> httpx2.Response:
    """Answer as the service would, for who has no key."""
    asked = json.loads(request.content)
    items = asked["input"]
    if isinstance(items, str):
        return _answer(_said(offline.draft(items)))
    found = [item["output"] for item in items if item.get("type") == "function_call_output"]
    if found:
        return _answer(_said(offline.outline(found[-1])))
    arguments = json.dumps({"product": offline.look_up(items[0]["content"])})
    return _answer({"type": "function_call", "name": "facts", "arguments": arguments, "call_id": "call-1"})


def _said(text: str) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "message-1", "role": "assistant", "status": "completed", "content": [part]}


def _answer(item: dict[str, Any]) -> httpx2.Response:
    usage = {"input_tokens": 40, "output_tokens": 20, "total_tokens": 60}
    return httpx2.Response(
        200, json={"id": "answer-1", "object": "response", "model": MODEL, "output": [item], "usage": usage}
    )
