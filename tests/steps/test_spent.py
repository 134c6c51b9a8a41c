"""What is read of usage from what SDKs, agents and tools give back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agentflow.steps.spent import Call, calls_in, reported, tell_found, tell_reported
from tests.steps.context import FakeContext

COMPLETION: dict[str, Any] = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "gpt-5-mini", "choices": [],
    "usage": {
        "prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 4},
    },
}  # fmt: skip
RESPONSE: dict[str, Any] = {
    "id": "1", "object": "response", "created_at": 1, "model": "gpt-5", "output": [], "parallel_tool_calls": False,
    "tool_choice": "auto", "tools": [],
    "usage": {
        "input_tokens": 12, "output_tokens": 3, "total_tokens": 15,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 1},
    },
}  # fmt: skip
MESSAGE: dict[str, Any] = {
    "id": "1", "type": "message", "role": "assistant", "model": "claude-5", "content": [], "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 3, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3},
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (COMPLETION, Call("gpt-5-mini", 12, 3, 4)),
        (RESPONSE, Call("gpt-5", 12, 3, 4)),
        (MESSAGE, Call("claude-5", 12, 3, 4)),
    ],
)  # fmt: skip
def test_answers_of_openai_and_anthropic_are_read_as_json(value: object, found: Call) -> None:
    assert list(calls_in(value)) == [found]


@pytest.mark.parametrize(
    "value",
    [
        None, "text", 7, [], {}, {"usage": {"input_tokens": 5}}, {"object": "chat.completion"},
        {"object": "response", "usage": {"input_tokens": "many"}}, {"messages": "none"},
        {"type": "message", "usage": None}, SimpleNamespace(usage=3), object(),
        SimpleNamespace(usage_metadata={"input_tokens": -1}),
    ],
)  # fmt: skip
def test_what_only_looks_like_usage_is_none(value: object) -> None:
    assert not [call for call in calls_in(value) if call.sent or call.received]


def test_a_property_that_raises_is_none() -> None:
    class Hostile:
        @property
        def usage(self) -> Any:
            raise RuntimeError("no")

        def __getattr__(self, name: str) -> Any:
            raise ValueError(name)

    assert list(calls_in(Hostile())) == []


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"agentflow/usage": {"cost": "0.5", "input_tokens": 7, "output_tokens": 1, "calls": 3}},
         Call("", 7, 1, 0, 3, "0.5")),
        ({"urn:agentflow:a2a:tasks:v1": {"depth": 0, "usage": {"cost": "0", "calls": 1, "input_tokens": 7,
          "output_tokens": 0, "unpriced_calls": 1}}}, Call("", 7, 0, 0, 1, None)),
        ({"adk_usage_metadata": {"promptTokenCount": 9, "candidatesTokenCount": 2, "cachedContentTokenCount": 4}},
         Call("", 9, 2, 4)),
        ({"usage": {"model": "m", "prompt_tokens": 9, "completion_tokens": 2, "total_cost": 0.25}},
         Call("m", 9, 2, cost="0.25")),
        ({"usage": {"input_tokens": 3, "cost": 0.5, "currency": "EUR"}}, Call("", 3, 0)),
        ({"usage": {"cost": 0.5}}, Call("", 0, 0, cost="0.5")),
    ],
)  # fmt: skip
def test_metadata_of_agents_and_tools_is_read(metadata: dict[str, Any], found: Call) -> None:
    assert list(reported(metadata, "USD")) == [found]


@pytest.mark.parametrize(
    "metadata", [{}, {"usage": 5}, {"usage": {"cost": "lots"}}, {"agentflow/usage": {"cost": "1", "calls": 0}}]
)
def test_metadata_without_numbers_tells_nothing(metadata: dict[str, Any]) -> None:
    assert list(reported(metadata, "USD")) == []


def test_what_a_step_has_told_itself_is_not_read_again() -> None:
    ctx = FakeContext()
    tell_found(ctx, COMPLETION)
    tell_found(ctx, COMPLETION)
    tell_reported(ctx, {"usage": {"cost": 1}})
    assert [told.get("input_tokens") for told in ctx.used] == [12, 0]
