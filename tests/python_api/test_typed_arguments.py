"""Functions are given what their parameters are annotated with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import BaseModel, Field

import agentflow
from agentflow import AgentAsks, Context, RunFailedError, Wait, Workflow
from agentflow.steps import agent_run, python

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowhere import Unheard  # pyright: ignore[reportMissingImports, reportUnknownVariableType]  only checkers see it

pytestmark = pytest.mark.anyio


class Order(BaseModel):
    id: int
    total: Decimal


@dataclass
class Line:
    name: str
    count: int = 1


class Level(IntEnum):
    HIGH = 2


def order_of(order: Order) -> str:
    return f"{type(order).__name__} {order.total}"


async def lines_of(lines: list[Line], at: datetime, level: Level = Level.HIGH) -> str:
    return f"{lines[0].name} {lines[0].count} {at.year} {level!r}"


def plain(number: float, numbers: list[float], text: str | None = None) -> Any:
    return [number, numbers, text]


def small(number: Annotated[int, Field(le=3)]) -> int:
    return number


def own(other: Unheard, order: Order, ctx: Context) -> str:  # pyright: ignore[reportUnknownParameterType]  see above
    return f"{other} {order.id} {ctx.workflow_id}"


def callback(it: Callable[[int], int] | None, more: Any) -> str:
    return f"{it} {more}"


async def given(function: Any, value: Any) -> Any:
    return (await agentflow.run(Workflow(id="w", steps=python("a", function=function, input=value)))).output


async def test_a_function_is_given_models_dataclasses_dates_and_enums_as_it_is_annotated() -> None:
    assert await given(order_of, {"order": {"id": 1, "total": "1.10"}}) == "Order 1.10"
    assert await given(order_of, {"id": 1, "total": 2}) == "Order 2"
    made = await given(lines_of, {"lines": [{"name": "ada"}], "at": "2026-01-02T03:04:05Z", "level": 2})
    assert made == "ada 1 2026 <Level.HIGH: 2>"


async def test_numbers_stay_what_they_were_where_the_annotation_takes_them() -> None:
    made = await given(plain, {"number": 3, "numbers": [1, 2.5]})
    assert made == [3, [1, 2.5], None]
    assert [type(one) for one in (made[0], *made[1])] == [int, int, float]


async def test_an_annotation_that_only_type_checkers_can_read_leaves_the_others() -> None:
    assert await given(own, {"other": {"a": 1}, "order": {"id": 7, "total": 1}}) == "{'a': 1} 7 w"
    assert await given(callback, {"it": None, "more": 3}) == "None 3"


@pytest.mark.parametrize(
    ("function", "value", "said"),
    [
        (order_of, {"order": {"id": "x", "total": 1}}, "takes order as Order, and is given something else: id: Input"),
        (small, {"number": 4}, "takes number as typing.Annotated[int,"),
        (small, {"other": 4}, "takes number as "),
    ],
)
async def test_what_does_not_fit_fails_the_step_before_the_function_is_called(
    function: Any, value: Any, said: str
) -> None:
    with pytest.raises(RunFailedError) as caught:
        await given(function, value)
    assert caught.value.code == "AF-PYTHON-ARGUMENTS"
    assert said.replace("typing.", "") in caught.value.what
    assert not caught.value.run.failure.retryable
    assert (caught.value.hint is not None) == ("other" in value)


def asks(prompt: str, order: Order | None = None, answer: Order | None = None, state: Line | None = None) -> Any:
    if state is None:
        return AgentAsks(Wait("input", prompt, schema={"type": "object"}), state=Line("ada"))
    return [state.name, answer.total if answer else None]


async def test_an_agent_is_given_its_answer_and_its_state_as_it_is_annotated() -> None:
    flow = Workflow(id="w", steps=agent_run("a", agent="asks", prompt="Which?"))
    run = await agentflow.run(flow, agents={"asks": asks}, answers={"a": {"id": 1, "total": "1.5"}})
    assert run.output == ["ada", "1.5"]
