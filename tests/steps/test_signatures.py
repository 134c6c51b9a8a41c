"""What arguments a function takes is read from its signature, and checked before it is called."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from agentflow.definition.json_schema import make_validator
from agentflow.errors import StepError
from agentflow.steps.services import ProcessServices
from agentflow.steps.signatures import schema_of
from tests.steps.test_tool_call import call

pytestmark = pytest.mark.anyio


class Own:
    """Something that no schema tells of."""


def rate(text: str, stars: int = 3, *, kind: Literal["a", "b"] = "a", ctx: Any = None, own: Own = Own()) -> int:  # noqa: B008
    """Rate a text.

    At length.
    """
    return stars


def test_types_defaults_and_the_first_paragraph_are_told_and_the_context_is_not() -> None:
    assert schema_of(rate) == {
        "type": "object",
        "description": "Rate a text.",
        "additionalProperties": False,
        "required": ["text"],
        "properties": {
            "text": {"type": "string"},
            "stars": {"type": "integer", "default": 3},
            "kind": {"enum": ["a", "b"], "type": "string", "default": "a"},
            "own": {},
        },
    }


def anything(**rest: object) -> None:
    """Take anything."""


def one(it: object) -> None:
    """Take one thing."""


def hidden(_it: object) -> None:
    """Take what JSON can't name here."""


ODD: list[Any] = [print, dict, anything, one, hidden]


@pytest.mark.parametrize("function", ODD)
def test_any_function_has_a_schema_that_can_be_used(function: Any) -> None:
    assert make_validator(schema_of(function)).is_valid({})


async def test_what_doesnt_fit_is_told_and_the_function_isnt_called() -> None:
    services = ProcessServices(tools={"rate": rate})
    assert await call(services, tool_name="rate", input={"text": "x", "stars": 5}) == 5
    with pytest.raises(
        StepError, match=r'The input doesn.t fit tool "rate": stars: "5" is not of type "integer"'
    ) as told:
        await call(services, tool_name="rate", input={"text": "x", "stars": "5"})
    assert (told.value.code, told.value.retryable) == ("AF-TOOL-ARGUMENTS", False)


async def test_a_schema_in_the_config_counts_instead() -> None:
    services = ProcessServices(functions={"m:rate": rate})
    services.add_tool("rate", {"python": "m:rate", "input_schema": {"properties": {"text": {"const": "only"}}}})
    assert await call(services, tool_name="rate", input={"text": "only"}) == 3
    with pytest.raises(StepError, match="only"):
        await call(services, tool_name="rate", input={"text": "x"})
