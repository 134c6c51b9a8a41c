"""Usage is read from the objects that SDKs give: these are imported in the tests, as that takes seconds."""

# ruff: noqa: PLC0415  as above

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from agentflow.steps.spent import Call, calls_in
from tests.steps.test_spent import COMPLETION, MESSAGE, RESPONSE

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


@pytest.mark.parametrize(
    ("module", "name", "data", "found"),
    [
        ("openai.types.chat", "ChatCompletion", COMPLETION, Call("gpt-5-mini", 12, 3, 4)),
        ("openai.types.responses", "Response", RESPONSE, Call("gpt-5", 12, 3, 4)),
        ("anthropic.types", "Message", MESSAGE, Call("claude-5", 12, 3, 4)),
    ],
)
def test_answers_of_openai_and_anthropic_are_read(module: str, name: str, data: Any, found: Call) -> None:
    answer = getattr(import_module(module), name).model_validate(data)
    assert list(calls_in(answer)) == [found]


async def test_results_of_pydantic_ai_are_read() -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    result = await Agent(TestModel()).run("hello")
    (found,) = calls_in(result)
    assert found.model == "test"
    assert (found.sent, found.received, found.calls) == (result.usage.input_tokens, result.usage.output_tokens, 1)
    assert found.sent > 0


def test_results_of_openai_agents_are_read() -> None:
    from agents.usage import Usage

    used = Usage(requests=3, input_tokens=30, output_tokens=6, total_tokens=36)
    used.input_tokens_details.cached_tokens = 7
    result = SimpleNamespace(context_wrapper=SimpleNamespace(usage=used), last_agent=SimpleNamespace(model="gpt-5"))
    assert list(calls_in(result)) == [Call("gpt-5", 30, 6, 7, calls=3)]


def test_messages_of_langchain_and_the_last_turn_of_a_state_of_langgraph_are_read() -> None:
    from langchain_core.messages import AIMessage, HumanMessage

    def said(tokens: int) -> AIMessage:
        used: Any = {"input_tokens": tokens, "output_tokens": 1, "total_tokens": tokens + 1}
        used["input_token_details"] = {"cache_read": 2}
        return AIMessage("hi", usage_metadata=used, response_metadata={"model_name": "m"})

    assert list(calls_in(said(10))) == [Call("m", 10, 1, 2)]
    state = {"messages": [HumanMessage("a"), said(10), HumanMessage("b"), said(20), said(30)]}
    assert list(calls_in(state)) == [Call("m", 20, 1, 2), Call("m", 30, 1, 2)]
