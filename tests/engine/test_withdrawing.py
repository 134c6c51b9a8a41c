"""What an agent's turn has begun elsewhere is ended there when the turn is over without having got it; never else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.engine import Answer, Decline, Engine
from agentflow.steps import agent_run
from agentflow.steps.contract import AgentAsks, AgentTurn, Context, TurnPlace, Wait
from agentflow.store.views import TaskQuery
from agentflow.testing.faults import doom
from tests.engine.lab import Lab, until

pytestmark = pytest.mark.anyio
FLOW = agent_run("ask", agent="far", prompt="x")


class Far:
    """An agent elsewhere that asks once, and can be told to stop."""

    def __init__(self, *, there: bool = True) -> None:
        """Nothing was begun; `there` tells whether it can be reached to be told to stop."""
        self.there = there
        self.turns: list[TurnPlace | None] = []
        self.withdrawn: list[Any] = []
        self.told = anyio.Event()

    async def run(self, turn: AgentTurn, ctx: Context) -> Any | AgentAsks:
        """Begin."""
        self.turns.append(ctx.turn)
        await ctx.save({"agent": "far", "task": "t1"})
        return AgentAsks(Wait("input", "Which?"), {"agent": "far", "task": "t1", "asked": 1})

    async def answer(self, turn: AgentTurn, state: Any, answer: Any, ctx: Context) -> Any | AgentAsks:
        """Go on."""
        self.turns.append(ctx.turn)
        return {"told": answer}

    async def check(self) -> None:
        """It can be asked."""

    async def withdraw(self, state: Any) -> None:
        """Stop."""
        self.told.set()
        if not self.there:
            raise OSError("it can't be reached")
        self.withdrawn.append(state)

    async def aclose(self) -> None:
        """Nothing is open."""


async def left(engine: Engine) -> int:
    """Return how much the store still knows of that is to be ended."""
    await engine.core.withdrawing.settled()
    return len(await engine.store.elsewhere.left(engine.core.env.agents))


@pytest.mark.parametrize("how", ["cancel", "decline", "turn"])
async def test_what_was_begun_is_ended_with_the_turn(lab: Lab, how: str) -> None:
    far = Far()
    async with lab.open(lab.workflow(FLOW), agents={"far": far}) as engine:
        run = await engine.start("main")
        await lab.finish(engine, run)
        (wait,) = await engine.waits()
        (turn,) = (await engine.tasks(TaskQuery(kinds=("agent",)))).tasks
        if how == "decline":
            await engine.resume(wait.id, Decline("no"))
        else:
            await engine.cancel(run.id if how == "cancel" else turn.id)
        await lab.finish(engine, run)
        assert await left(engine) == 0
    assert far.withdrawn == [{"agent": "far", "task": "t1", "asked": 1}]


async def test_a_turn_that_has_its_answer_leaves_nothing_to_be_ended(lab: Lab) -> None:
    """It is one turn, before the question and after the answer. Its depth stands in the message that began the run."""
    far = Far()
    message: dict[str, Any] = {"messageId": "m", "role": "user", "parts": [], "metadata": {"urn:x": {"depth": 3}}}
    async with lab.open(lab.workflow(FLOW), agents={"far": far}) as engine:
        run = await engine.start("main", message=message)
        await lab.finish(engine, run)
        (turn,) = (await engine.tasks(TaskQuery(kinds=("agent",)))).tasks
        (wait,) = await engine.waits()
        await engine.resume(wait.id, Answer("this"))
        assert (await lab.finish(engine, run)).output == {"told": "this"}
        assert (await left(engine), far.withdrawn) == (0, [])
    assert far.turns == [TurnPlace(turn.id, run.id, 3)] * 2


async def test_what_could_not_be_ended_is_ended_by_the_next_host(
    lab: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    far, db = Far(there=False), tmp_path / "runs.db"
    async with lab.open(lab.workflow(FLOW), agents={"far": far}, store=db) as engine:
        run = await engine.start("main")
        await lab.finish(engine, run)
        await engine.cancel(run.id)
        await lab.finish(engine, run)
        assert await left(engine) == 1
        assert "what step ask has begun elsewhere can't be ended" in caplog.text
        doom(engine)
    far.there, far.told = True, anyio.Event()
    async with lab.open(lab.workflow(FLOW), agents={"far": far}, store=db) as engine:
        await far.told.wait()
        assert await left(engine) == 0
    assert [state["task"] for state in far.withdrawn] == ["t1"]


async def test_a_retry_is_another_turn_and_the_one_before_it_is_ended(lab: Lab) -> None:
    far = Far()
    flow = lab.workflow(agent_run("ask", agent="far", prompt="x", on_error="suspend"))
    async with lab.open(flow, agents={"far": far}) as engine:
        run = await engine.start("main")
        await lab.finish(engine, run)
        (wait,) = await engine.waits()
        await engine.resume(wait.id, Decline("no"))
        await until(engine, run.id, "step_failed")
        await lab.finish(engine, run)
        (operator,) = await engine.waits()
        await engine.resume(operator.id, Answer({"action": "retry"}))
        await lab.finish(engine, run)
        assert await left(engine) == 0
    assert len({turn.task for turn in far.turns if turn is not None}) == 2
    assert len(far.withdrawn) == 1
