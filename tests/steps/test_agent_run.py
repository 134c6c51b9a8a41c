"""Agents' turns: functions and providers as agents, their questions, their failures."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.codes import CODES
from agentflow.errors import StepError
from agentflow.steps.agent_run import TYPES
from agentflow.steps.contract import AgentAsks, AgentTurn, Context, Park, Result, Wait
from agentflow.steps.services import ProcessServices
from tests.steps.context import FakeContext, enter, run

pytestmark = pytest.mark.anyio

ASK = Wait("input", "Which region?", schema={"type": "string"})


async def ask(agent: Any, ctx: FakeContext | None = None, **config: Any) -> Any:
    ctx = ctx or FakeContext()
    ctx.services = ProcessServices(agents={"helper": agent})
    return await run("agent_run", {"agent": "helper", "prompt": "do it", **config}, ctx)


async def failing(agent: Any, **config: Any) -> StepError:
    with pytest.raises(StepError) as caught:
        await ask(agent, **config)
    assert caught.value.code in CODES
    return caught.value


class Remote:
    """A provider that asks once."""

    def __init__(self) -> None:
        self.turns: list[tuple[Any, ...]] = []

    async def run(self, turn: AgentTurn, ctx: Context) -> Any | AgentAsks:
        self.turns.append(("run", turn, ctx.state))
        await ctx.save({"remote_task": "t1"})
        return AgentAsks(ASK, state={"remote_task": "t1"})

    async def answer(self, turn: AgentTurn, state: Any, answer: Any, ctx: Context) -> Any | AgentAsks:
        self.turns.append(("answer", turn, state, answer))
        return {"region": answer}


@pytest.mark.case("D-KIND-7")
async def test_the_provider_is_given_the_whole_turn() -> None:
    remote = Remote()
    config = {"input": {"a": 1}, "tools": ["t"], "skills": ["s"], "model": "m", "max_iterations": 3}
    ctx = FakeContext(ProcessServices(agents={"helper": remote}))
    await enter("agent_run", {"agent": "helper", "prompt": "do it", **config}, ctx)
    turn = AgentTurn("helper", "do it", {"a": 1}, ("t",), ("s",), "m", 3)
    assert remote.turns == [("run", turn, None)]


async def test_what_the_agent_asks_is_a_wait_and_the_answer_goes_back_to_it() -> None:
    remote = Remote()
    services = ProcessServices(agents={"helper": remote})
    config = {"agent": "helper", "prompt": "do it"}
    parked = await enter("agent_run", config, FakeContext(services))
    assert isinstance(parked, Park)
    assert (parked.on, parked.then) == (ASK, "enter")
    entered = await enter("agent_run", config, FakeContext(services, state=parked.state, arrived="emea"))
    assert entered == Result({"region": "emea"})
    assert remote.turns[1] == ("answer", AgentTurn("helper", "do it"), {"remote_task": "t1"}, "emea")


async def test_null_is_an_answer_too() -> None:
    services = ProcessServices(agents={"helper": Remote()})
    parked = await enter("agent_run", {"agent": "helper"}, FakeContext(services))
    assert isinstance(parked, Park)
    assert await enter("agent_run", {"agent": "helper"}, FakeContext(services, state=parked.state)) == Result(
        {"region": None}
    )


async def test_an_interrupted_turn_finds_what_it_had_saved() -> None:
    remote = Remote()
    services = ProcessServices(agents={"helper": remote})
    await enter("agent_run", {"agent": "helper"}, FakeContext(services, state={"remote_task": "t1"}, attempt=2))
    assert remote.turns == [("run", AgentTurn("helper", None), {"remote_task": "t1"})]


@pytest.mark.case("D-KIND-7")
async def test_a_function_gets_what_its_parameters_name() -> None:
    async def agent(prompt: str, model: str, tools: Any, max_iterations: int, ctx: Any) -> Any:
        return [prompt, model, list(tools), max_iterations, ctx.run_id]

    def everything(**turn: Any) -> Any:
        return sorted(turn)

    def whole(turn: AgentTurn) -> Any:
        return {"prompt": turn.prompt}

    assert await ask(agent, model="m", tools=["a"], max_iterations=2) == ["do it", "m", ["a"], 2, "run-1"]
    names = ["input", "max_iterations", "model", "prompt", "skills", "tools", "turn"]
    assert await ask(everything) == names
    assert await ask(whole) == {"prompt": "do it"}


async def test_the_one_parameter_is_the_prompt_whatever_its_name() -> None:
    def first(ctx: Any, question: str) -> Any:
        return {"question": question, "run": ctx.run_id}

    assert await ask(first) == {"question": "do it", "run": "run-1"}
    assert await ask(lambda: {"none": True}) == {"none": True}


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ("text ", {"output": "text"}),
        ('{"a": 1}', {"output": '{"a": 1}'}),
        (None, {"output": ""}),
        ({"a": 1}, {"a": 1}),
        (3, 3),
    ],
)
async def test_an_agents_data_is_the_result_and_text_is_output(answer: Any, result: Any) -> None:
    assert await ask(lambda: answer) == result


async def test_a_function_can_ask_and_is_called_again_with_the_answer() -> None:
    def agent(prompt: str, answer: Any = None, state: Any = None) -> Any:
        return [answer, state] if state else AgentAsks(ASK, state={"at": 1})

    services = ProcessServices(agents={"helper": agent})
    parked = await enter("agent_run", {"agent": "helper"}, FakeContext(services))
    assert isinstance(parked, Park)
    entered = await enter("agent_run", {"agent": "helper"}, FakeContext(services, state=parked.state, arrived="emea"))
    assert entered == Result(["emea", {"at": 1}])


async def test_a_function_that_asks_has_to_take_the_answer() -> None:
    def agent(prompt: str) -> Any:
        return AgentAsks(ASK, state=None)

    services = ProcessServices(agents={"helper": agent})
    parked = await enter("agent_run", {"agent": "helper"}, FakeContext(services))
    assert isinstance(parked, Park)
    with pytest.raises(StepError, match=r"it has to take answer") as caught:
        await enter("agent_run", {"agent": "helper"}, FakeContext(services, state=parked.state))
    assert not caught.value.retryable


async def test_a_function_that_wants_something_else_says_what() -> None:
    error = await failing(lambda temperature, colour: 1)  # pyright: ignore[reportUnknownLambdaType]  it is wrong on purpose
    assert str(error) == 'agent "helper": its function wants temperature, colour, which no agent is given'
    assert (error.code, error.retryable) == ("AF-AGENT-FAILED", False)


@pytest.mark.case("D-KIND-7")
@pytest.mark.parametrize("raised", [ValueError("no quota"), SystemExit("no quota"), LookupError("no quota")])
async def test_an_agent_that_fails_fails_the_step(raised: BaseException) -> None:
    async def agent() -> None:
        raise raised

    class Failing(Remote):
        async def run(self, turn: AgentTurn, ctx: Context) -> Any | AgentAsks:
            raise raised

    for one in (agent, Failing()):
        error = await failing(one)
        assert (error.code, error.kind, error.retryable) == ("AF-AGENT-FAILED", "exception", True)
        assert "no quota" in str(error)


async def test_the_config_names_a_function_as_an_agent() -> None:
    services = ProcessServices(agents={"low": {"python": "string:capwords"}}, python_modules=["string"])
    assert await run("agent_run", {"agent": "low", "prompt": "do it"}, FakeContext(services)) == {"output": "Do It"}


async def test_an_unknown_agent_is_named() -> None:
    with pytest.raises(StepError, match="Agent 'helpr' not found") as caught:
        await run("agent_run", {"agent": "helpr"}, FakeContext(ProcessServices(agents={"helper": Remote()})))
    assert (caught.value.code, caught.value.hint, caught.value.retryable) == (
        "AF-AGENT-UNKNOWN",
        'did you mean "helper"?',
        False,
    )


def test_the_type_says_what_it_needs() -> None:
    (spec,) = TYPES
    assert (spec.name, spec.skills, spec.timeout, spec.outbound) == (
        "agent_run",
        ("native:agent",),
        600.0,
        ("prompt", "input"),
    )
    assert (spec.takes_input, spec.unsafe) == (True, True)
