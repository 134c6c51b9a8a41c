"""What somebody sees who debugs a workflow of his own functions."""

from __future__ import annotations

from typing import Any

import pytest

import agentflow
from agentflow import AgentflowError, InputError, Park, RunFailedError, Wait, Workflow, step
from agentflow.steps import agent_run, tool_call, wait_for_input
from agentflow.testing import harness, in_turn

pytestmark = pytest.mark.anyio


def divided(number: float) -> float:
    return 1 / number


@step
def breaks() -> float:
    try:
        return divided(0)
    except ZeroDivisionError as error:
        raise LookupError("no rate") from error


@step
def fetch(number: int = 1) -> int:
    return number


class Asker:
    """What an SDK calls an agent."""

    async def run(self, prompt: str) -> str:
        return prompt


async def failed(*steps: Any, **options: Any) -> RunFailedError:
    with pytest.raises(RunFailedError) as caught:
        await agentflow.run(Workflow(id="w", steps=steps), **options)
    return caught.value


async def test_the_frames_of_ones_own_functions_are_printed_with_the_error() -> None:
    error = await failed(breaks)
    assert "test_what_went_wrong.py:" in error.what
    *frames, cause = error.__notes__
    assert [frame.partition(", ")[2] for frame in frames] == ['in breaks: raise LookupError("no rate") from error']
    assert cause.startswith("  caused by ZeroDivisionError: division by zero (")


async def test_an_answer_to_a_step_that_nearly_has_that_name_is_told() -> None:
    error = await failed(wait_for_input("review", message="Good?"), answers={"reveiw": True})
    assert error.hint == 'answers={"review": …}, not "reveiw", or store="runs.db"'


async def test_an_agent_of_an_sdk_is_refused_with_the_function_that_asks_it() -> None:
    with pytest.raises(AgentflowError) as caught:
        await agentflow.run(Workflow(id="w", steps=fetch), agents={"writer": Asker()})
    assert caught.value.what == 'agents={"writer": …} takes a function or a provider, not an object of Asker'
    assert caught.value.hint == "async def writer(prompt: str): return (await agent.run(prompt)).output"


async def test_an_agent_that_nobody_has_given_is_told_with_where_it_is_given() -> None:
    error = await failed(agent_run("a", agent="writer", prompt="hi"))
    assert error.hint == 'agents: {writer: …} in the config; in Python agents={"writer": …}'


async def test_a_run_shows_what_has_become_of_it() -> None:
    run = await agentflow.run(Workflow(id="w", steps=fetch))
    assert repr(run) == f"Run(id='{run.id}', workflow='w', state='completed', input={{}}, output=1)"
    run = await agentflow.run(Workflow(id="w", steps=breaks), check=False)
    assert "state='failed'" in repr(run)
    assert "failure='LookupError: no rate (" in repr(run)


@pytest.mark.parametrize("name", ["fetch", f"{__name__}:fetch"])
async def test_a_stub_takes_the_place_of_a_function_that_a_step_was_given(name: str) -> None:
    flow = Workflow(id="w", steps=fetch.step(retry={"max_attempts": 2, "base": 1}))
    async with harness(flow, functions={name: in_turn(ValueError("down"), 7)}) as h:
        run = await h.run("w")
        run.completed(output=7)
        assert run.step("fetch").attempts == 2


async def test_an_answer_that_does_not_fit_is_told_with_its_step_and_schema() -> None:
    asks = wait_for_input("ask", message="Good?", schema=bool)
    with pytest.raises(InputError) as caught:
        await agentflow.run(Workflow(id="w", steps=asks), answers={"ask": "maybe"})
    assert str(caught.value).startswith('the answer to step "ask" doesn\'t fit: ')
    assert caught.value.hint == "its schema is {'type': 'boolean'}"


class Answered:
    """What an SDK's agent returns."""

    def __init__(self) -> None:
        self.output = "hello"


@step
def asked() -> Any:
    return Answered()


async def test_a_result_of_an_sdk_is_refused_with_the_part_that_is_meant() -> None:
    error = await failed(asked)
    assert error.what.endswith("the result can't be kept: Answered has no JSON form")
    assert error.hint == "return its .output, not the whole Answered"


@step
def waits_on_text() -> Any:
    return Park("Send it?")  # pyright: ignore[reportArgumentType]  what type checkers refuse


@step
def waits_strangely() -> Any:
    return Park(Wait("approval", "Send it?"))  # pyright: ignore[reportArgumentType]  what type checkers refuse


async def test_what_a_step_can_not_wait_on_is_no_fault_of_ours() -> None:
    error = await failed(waits_on_text)
    assert error.what.endswith("a step waits on Wait(…), Timer(…) or EventWait(…), not on an object of str")
    assert error.hint == 'Wait("input", "Send it?")'
    error = await failed(waits_strangely)
    assert error.what.endswith("a wait is of kind input, event, tool, auth, operator, not 'approval'")


async def test_a_tool_is_named_where_a_step_lists_it_and_given_where_it_is_run() -> None:
    with pytest.raises(AgentflowError) as caught:
        agent_run("a", agent="writer", tools=[fetch])  # pyright: ignore[reportArgumentType]  what type checkers refuse
    assert caught.value.__notes__ == ['  hint: tools=["…"]: they are given by name']
    error = await failed(tool_call("a", tool_name="mail"))
    assert error.hint == 'tools: {mail: …} in the config; in Python tools={"mail": …}'
