"""What somebody writes in the first hour in Python, and what comes of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import agentflow
from agentflow import (
    AgentAsks,
    Answer,
    Context,
    DefinitionError,
    Engine,
    EventWait,
    InputError,
    Park,
    RunFailedError,
    Timer,
    Wait,
    Workflow,
    step,
)
from agentflow.steps import agent_run, set_, wait_for_input, workflow

pytestmark = pytest.mark.anyio


class Decision(BaseModel):
    approved: bool
    why: str = ""


@step
def one() -> int:
    return 1


@step
def double(number: int) -> int:
    return number * 2


@step
def asks() -> Park:
    return Park(Wait("input", "Sure?", schema=Decision))


@step
def asks_shortly() -> Park:
    return Park(Wait("input", "Sure?", schema={"approved": "boolean"}))


def always(steps: Any) -> bool:
    return bool(steps)


async def helper() -> int:
    return 3


@step
async def forgot() -> Any:
    return helper()


class Table:
    def tolist(self) -> list[int]:
        return [1]


@step
def table() -> Any:
    return {"mean": Table()}


@step
def waits() -> Any:
    return Wait("input", "Sure?")


@step
def sleeps(ctx: Context) -> Any:
    return Timer(ctx.now())


@step
def listens() -> Any:
    return EventWait("news")


@step
def asking() -> Any:
    return AgentAsks(Wait("input", "Sure?"))


async def result(*steps: Any, **options: Any) -> Any:
    return (await agentflow.run(Workflow(id="w", steps=steps), **options)).output


async def failure(*steps: Any, **options: Any) -> RunFailedError:
    with pytest.raises(RunFailedError) as caught:
        await result(*steps, **options)
    return caught.value


async def test_the_schema_of_a_wait_is_a_type_or_the_short_form_as_elsewhere() -> None:
    assert await result(asks, answers={"asks": Decision(approved=True)}) == {"approved": True, "why": ""}
    assert await result(asks_shortly, answers={"asks_shortly": {"approved": True}}) == {"approved": True}
    assert Wait("input", "Sure?", schema={"type": "boolean"}).schema == {"type": "boolean"}
    with pytest.raises(DefinitionError, match='"schema" of a wait takes a JSON Schema or a type that has one, not 3'):
        Wait("input", "Sure?", schema=3)  # pyright: ignore[reportArgumentType]  what type checkers refuse


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (waits, "return Park(Wait(…))"),
        (sleeps, "return Park(Timer(…))"),
        (listens, "return Park(EventWait(…))"),
        (asking, "return Park(Wait(…))"),
    ],
)
async def test_a_function_that_returns_what_it_waits_for_is_told_how_it_waits(function: Any, hint: str) -> None:
    error = await failure(function)
    assert "the function returned " in error.what
    assert "a step waits when Park(" in error.what
    assert error.hint == hint


async def test_an_agent_that_returns_a_wait_is_told_how_it_asks() -> None:
    def writer(prompt: str) -> Any:
        return Wait("input", prompt)

    error = await failure(agent_run("a", agent="writer", prompt="Hello"), agents={"writer": writer})
    assert error.hint == "return AgentAsks(Wait(…))"


async def test_an_agent_needs_no_state_to_ask() -> None:
    def writer(prompt: str, answer: Any = None) -> Any:
        return AgentAsks(Wait("input", prompt)) if answer is None else answer

    asked = agent_run("a", agent="writer", prompt="Hello")
    assert await result(asked, agents={"writer": writer}, answers={"a": "yes"}) == {"output": "yes"}


async def test_a_step_depends_on_functions_too() -> None:
    assert await result(one, double.step(input={"number": 3}, depends_on=one)) == 6
    assert set_("a", value=1, depends_on=[one, "b", set_("c", value=1)]).depends_on == ("one", "b", "c")


@pytest.mark.parametrize(
    ("field", "value", "said", "hint"),
    [
        ("if_", always, '"if_" of step "double" holds a value that has no JSON form: function', '"{steps.always}" is'),
        ("with_", {"a": [one]}, '"with_" of step "double" holds', '"{steps.one}" is the result of a step'),
        ("input", {"number": one}, 'step "double" holds', '"{steps.one}" is the result of a step'),
        ("input", set_("a", value=1), 'step "double" holds', 'its result is "{steps.a}"'),
    ],
)
async def test_a_function_or_a_step_in_the_place_of_a_value_is_told_what_to_write(
    field: str, value: Any, said: str, hint: str
) -> None:
    fields: dict[str, Any] = {"input": 1, field: value}
    with pytest.raises(DefinitionError) as caught:
        double.step(**fields)
    assert caught.value.what.startswith(said)
    assert (caught.value.problems[0].hint or "").startswith(hint)


async def test_what_has_no_json_form_is_told_with_what_has_one() -> None:
    assert (await failure(forgot)).what.endswith("coroutine has no JSON form: it was never awaited")
    assert (await failure(table)).what.endswith("mean: Table has no JSON form; its .tolist() has one")


def test_a_step_function_shows_its_name_and_parameters() -> None:
    assert repr(double) == "@step double(number: 'int') -> 'int'"


class Line(BaseModel):
    name: str
    count: int = 1


class Order(BaseModel):
    lines: list[Line]


@step
def ordered(order: Order) -> int:
    return sum(line.count for line in order.lines)


async def test_the_input_of_a_workflow_is_a_type_and_is_given_as_an_object_of_it() -> None:
    flow = Workflow(id="w", input=Order, steps=ordered.step(input="{input}"))
    assert (await agentflow.run(flow, Order(lines=[Line(name="a", count=2)]))).output == 2
    assert (await agentflow.run(flow, {"lines": [{"name": "a"}]})).output == 1
    with pytest.raises(InputError, match=r"lines: \"x\" is not of type"):
        await agentflow.run(flow, {"lines": "x"})


async def test_names_of_an_input_take_types_beside_the_short_form() -> None:
    flow = Workflow(
        id="w",
        input={"order": Order, "day": date | None, "note": "string?"},
        output_schema=int,
        steps=ordered.step(input={"order": "{input.order}"}),
    )
    schema = flow.input_schema or {}
    assert schema["required"] == ["order", "day"]
    assert schema["properties"]["note"] == {"type": "string"}
    assert schema["$defs"].keys() == {"Line"}
    assert flow.output_schema == {"type": "integer"}
    assert (await agentflow.run(flow, {"order": {"lines": [{"name": "a"}]}, "day": None})).output == 1
    assert (
        Workflow(id="w", input_schema=Order, steps=one).input_schema
        == Workflow(id="w", input=Order, steps=one).input_schema
    )


@pytest.mark.parametrize("fields", [{"input": object()}, {"input": {"n": object()}}, {"output_schema": object()}])
def test_what_is_no_type_is_refused_as_a_schema(fields: Any) -> None:
    with pytest.raises(DefinitionError, match=r'workflow "w": .* is no type that data can have'):
        Workflow(id="w", steps=one, **fields)


def calling(factor: int, id: str = "calls") -> Workflow:  # noqa: A002  named as in the config
    """Return a workflow that calls one, which calls another with a function."""
    inner = Workflow(id="inner", input={"n": "integer"}, steps=double.step(input={"number": "{input.n}"}))
    given = {"of": "{steps.in}", "f": factor}
    middle = Workflow(
        id="middle",
        input={"n": "integer"},
        steps=[workflow("in", workflow=inner, input={"n": "{input.n}"}), set_("b", value=given)],
    )
    first, again = (workflow(name, workflow=middle, input={"n": n}) for name, n in (("first", 2), ("again", 3)))
    return Workflow(id=id, steps=[first, wait_for_input("ask", message="?"), again])


async def test_a_workflow_that_a_step_calls_comes_along_into_another_process_too(tmp_path: Path) -> None:
    assert await result(*calling(1).steps, answers={"ask": 1}) == {"of": 6, "f": 1}
    async with Engine.open(tmp_path / "runs.db") as engine:
        run = await engine.start(calling(1))
        assert (await engine.wait(run.id)).waiting
        with pytest.raises(DefinitionError, match='workflow "other" calls another "middle" than this engine has'):
            await engine.start(calling(2, "other"))
    async with Engine.open(tmp_path / "runs.db", workflows=[calling(1)]) as engine:
        await engine.resume(run.id, Answer(True))
        assert (await engine.wait(run.id)).output == {"of": 6, "f": 1}


def test_two_workflows_of_one_id_are_refused_also_where_one_comes_along() -> None:
    with pytest.raises(DefinitionError, match='two workflows have the id "middle"'):
        agentflow.config_from([calling(1), calling(2, "other")])
