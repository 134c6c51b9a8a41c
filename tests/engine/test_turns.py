"""Each turn of an agent is a task below its run: what it was asked, what it has answered, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest

from agentflow.engine import Answer, Engine
from agentflow.errors import ConflictError, StepError
from agentflow.principal import Principal
from agentflow.steps import agent_run, sequence, set_
from agentflow.steps.contract import AgentAsks, Artifact, Context, Wait
from agentflow.store.sqlite.sql import do
from agentflow.store.views import ListedTask, TaskQuery
from agentflow.testing import dying
from agentflow.testing.faults import doom
from tests.engine.hands import Gate, by_hand
from tests.engine.lab import LIMIT, Lab, until
from tests.engine.workers import Workers

pytestmark = pytest.mark.anyio

ASK = Wait("input", "Which year?", {"type": "integer"})


async def turns_of(engine: Engine) -> list[ListedTask]:
    """Return all turns, in the order in which they were begun."""
    page = await engine.tasks(TaskQuery(kinds=("agent",)))
    return sorted(page.tasks, key=lambda task: task.id)


async def said(engine: Engine, task_id: str) -> list[tuple[str, Any]]:
    return [(message.role, message.data["parts"]) for message in await engine.history(task_id)]


async def log_of(engine: Engine, task_id: str) -> list[tuple[int | None, str]]:
    return [(event.generation, event.type) for event in await engine.task_log(task_id)]


def _does(prompt: str) -> str:
    return f"{prompt}: done"


async def test_a_turn_tells_what_was_asked_and_answered(lab: Lab) -> None:
    ask = agent_run("ask", agent="helper", prompt="Sum {input.n}", input={"n": "{input.n}"})
    async with lab.open(lab.workflow(ask), agents={"helper": _does}) as engine:
        done = await lab.finish(engine, await engine.start("main", {"n": 3}, context_id="talk"))
        (turn,) = await turns_of(engine)
        assert (turn.state, turn.kind, turn.step, turn.run_id, turn.context_id) == (
            "completed", "agent", "ask", done.run.id, "talk",
        )  # fmt: skip
        assert await said(engine, turn.id) == [
            ("user", [{"text": "Sum 3"}, {"data": {"n": 3}}]),
            ("agent", [{"text": "Sum 3: done"}]),
        ]
        assert await log_of(engine, turn.id) == [
            (1, "task_opened"), (2, "message"), (3, "message"), (4, "task_closed"),
        ]  # fmt: skip
        assert [message.generation for message in await engine.history(turn.id)] == [2, 3]
        assert await said(engine, done.run.id) == []
        page = await engine.tasks(TaskQuery(context_id="talk"))
        assert {task.id for task in page.tasks} == {done.run.id, turn.id}


async def test_steps_of_other_types_have_no_turns(lab: Lab) -> None:
    async with lab.open(lab.workflow(set_("a", value=1))) as engine:
        await lab.finish(engine, await engine.start("main"))
        assert [task.kind for task in (await engine.tasks()).tasks] == ["run"]


async def test_what_an_agent_gives_is_its_turns_and_a_steps_is_the_runs(lab: Lab) -> None:
    async def agent(prompt: str, ctx: Context) -> dict[str, Any]:
        await ctx.artifact(Artifact("draft", parts=({"text": "1"},), last_chunk=False))
        ctx.message([{"text": "half"}])
        await ctx.artifact(Artifact("draft", parts=({"text": prompt},), append=True))
        return {"pages": 2}

    async def step(ctx: Context) -> int:
        await ctx.artifact(Artifact("own", parts=({"text": "x"},)))
        return 1

    flow = lab.workflow(agent_run("write", agent="helper", prompt="2"), lab.call("own", step))
    async with lab.open(flow, agents={"helper": agent}) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        (turn,) = await turns_of(engine)
        assert [whole["artifactId"] for whole in await engine.artifacts(done.run.id)] == ["own"]
        [draft] = await engine.artifacts(turn.id)
        assert (draft["artifactId"], draft["parts"]) == ("draft", [{"text": "1"}, {"text": "2"}])
        assert [number for number, _ in await engine.store.chunks(turn.id)] == [3, 4]
        assert [parts for _, parts in await said(engine, turn.id)] == [
            [{"text": "2"}], [{"text": "half"}], [{"data": {"pages": 2}}],
        ]  # fmt: skip


async def test_a_retry_after_a_failure_is_a_new_turn(lab: Lab) -> None:
    left = [StepError("busy", code="AF-AGENT-FAILED")]

    def agent(prompt: str) -> str:
        if left:
            raise left.pop()
        return prompt

    ask = agent_run("ask", agent="helper", prompt="x", retry={"max_attempts": 2, "base": "1s"})
    async with lab.open(lab.workflow(ask), agents={"helper": agent}) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        first, second = await turns_of(engine)
        assert (done.state, first.state, first.message, second.state) == ("completed", "failed", "busy", "completed")
        assert [len(await said(engine, turn.id)) for turn in (first, second)] == [1, 2]


async def test_a_run_that_is_cancelled_between_two_tries_ends_no_turn_twice(lab: Lab, tmp_path: Path) -> None:
    def agent() -> None:
        raise StepError("busy", code="AF-AGENT-FAILED")

    ask = agent_run("ask", agent="helper", prompt="x", retry={"max_attempts": 2, "base": "1h"})
    db = tmp_path / "runs.db"
    async with lab.open(lab.workflow(ask), agents={"helper": agent}, store=db, host="own") as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_retrying")
        doom(engine)
    async with lab.open(lab.workflow(ask), agents={"helper": agent}, store=db, host="own") as engine:
        await engine.cancel(run.id)
        assert await engine.adopt(run.id)
        assert (await lab.finish(engine, run)).state == "canceled"
        (turn,) = await turns_of(engine)
        assert (turn.state, await log_of(engine, turn.id)) == (
            "failed", [(1, "task_opened"), (2, "message"), (3, "task_closed")],
        )  # fmt: skip


async def test_what_an_agent_asks_is_a_wait_and_its_turn_goes_on_with_the_answer(lab: Lab) -> None:
    def agent(prompt: str, answer: int | None = None) -> Any:
        return AgentAsks(ASK, None) if answer is None else f"{prompt} of {answer}"

    flow = lab.workflow(agent_run("ask", agent="helper", prompt="Report"))
    async with lab.open(flow, agents={"helper": agent}) as engine:
        run = await engine.start("main")
        parked = await lab.finish(engine, run)
        (turn,) = await turns_of(engine)
        (wait,) = await engine.waits(run.id)
        assert (parked.state, turn.state, wait.kind, wait.details["turn"]) == (
            "input-required", "input-required", "input", turn.id,
        )  # fmt: skip
        assert (await engine.resume(turn.id, Answer(2026))).id == wait.id
        done = await lab.finish(engine, run)
        (turn,) = await turns_of(engine)
        assert (done.output, turn.state) == ({"output": "Report of 2026"}, "completed")
        assert [kind for _, kind in await log_of(engine, turn.id)] == [
            "task_opened", "message", "task_status", "task_status", "message", "task_closed",
        ]  # fmt: skip
        with pytest.raises(ConflictError, match="its turn is completed"):
            await engine.resume(turn.id, Answer(2027))


async def test_an_interrupted_turn_goes_on_in_its_own_task(lab: Lab, tmp_path: Path) -> None:
    gate, db = Gate("done"), tmp_path / "runs.db"
    flow = lab.workflow(agent_run("ask", agent="helper", prompt="x"))
    async with lab.open(flow, agents={"helper": _agent(gate)}, store=db) as engine:
        run = await engine.start("main")
        await gate.inside()
        doom(engine)
    gate.open()
    async with lab.open(flow, agents={"helper": _agent(gate)}, store=db) as engine:
        assert (await lab.finish(engine, run)).state == "completed"
        (turn,) = await turns_of(engine)
        assert (gate.entered, turn.state, len(await said(engine, turn.id))) == (2, "completed", 2)


async def test_a_turn_that_an_older_version_has_begun_gets_its_task_when_it_is_entered_again(
    lab: Lab, tmp_path: Path
) -> None:
    gate, db = Gate("done"), tmp_path / "runs.db"
    flow = lab.workflow(agent_run("ask", agent="helper", prompt="x"))
    async with lab.open(flow, agents={"helper": _agent(gate)}, store=db) as engine:
        run = await engine.start("main")
        await gate.inside()
        doom(engine)
    file = apsw.Connection(str(db))
    for change in ("DELETE FROM tasks", "DELETE FROM messages", "UPDATE steps SET memo = NULL"):
        do(file, change)
    file.close()
    gate.open()
    async with lab.open(flow, agents={"helper": _agent(gate)}, store=db) as engine:
        assert (await lab.finish(engine, run)).state == "completed"
        (turn,) = await turns_of(engine)
        assert (turn.state, len(await said(engine, turn.id))) == ("completed", 2)


def _agent(gate: Gate) -> Callable[..., Any]:
    async def agent(prompt: str) -> Any:
        return await gate()

    return agent


async def test_a_turn_that_is_cancelled_fails_its_step_and_not_the_run(lab: Lab) -> None:
    gate = Gate("late")
    ask = agent_run("ask", agent="helper", prompt="x", on_error="continue")
    flow = lab.workflow(ask, set_("after", value="{run.steps.ask.error.code}"))
    async with lab.open(flow, agents={"helper": _agent(gate)}) as engine:
        run = await engine.start("main")
        await gate.inside()
        (turn,) = await turns_of(engine)
        with pytest.raises(Exception, match="no run"):
            await engine.cancel(turn.id, principal=Principal("eve"))
        await engine.cancel(turn.id, by="ann")
        done = await lab.finish(engine, run)
        gate.open()
        with anyio.fail_after(LIMIT):
            await engine.core.idle()
        (turn,) = await turns_of(engine)
        assert (done.state, done.output, turn.state) == ("completed", "AF-AGENT-CANCELED", "canceled")
        assert (turn.message, gate.entered) == ("the agent's turn was canceled by ann", 1)
        again = await engine.cancel(turn.id)
        assert (again.state, (await turns_of(engine))[0].generation) == ("completed", turn.generation)


async def test_a_turn_that_asks_is_cancelled_with_its_wait(lab: Lab) -> None:
    flow = lab.workflow(agent_run("ask", agent="helper", prompt="x"))
    async with lab.open(flow, agents={"helper": lambda: AgentAsks(ASK, None)}) as engine:
        run = await engine.start("main")
        await lab.finish(engine, run)
        (turn,) = await turns_of(engine)
        await engine.cancel(turn.id)
        done = await lab.finish(engine, run)
        assert [(task.kind, task.state) for task in (await engine.tasks()).tasks if task.kind != "run"] == [
            ("input", "canceled"), ("agent", "canceled"),
        ]  # fmt: skip
        done.failed(code="AF-AGENT-CANCELED", step="ask")


async def test_turns_end_with_what_ends_their_steps(lab: Lab) -> None:
    """A timeout fails it, a cancelled run cancels it. No secret stands in what it was asked."""
    lab, gate = by_hand(lab), Gate()
    slow = agent_run("slow", agent="helper", prompt="{env.TOKEN}", timeout="1m", on_error="continue")
    stuck = sequence("box", steps=[agent_run("stuck", agent="helper", prompt="y")])
    config = {"env": [{"name": "TOKEN", "default": "s3cr3t-enough"}]}
    async with lab.open(lab.workflow(slow, stuck), agents={"helper": _agent(gate)}, config=config) as engine:
        run = await engine.start("main")
        await gate.inside()
        lab.clock.advance(61)
        await until(engine, run.id, "step_started", "box/stuck")
        await engine.cancel(run.id)
        assert (await lab.finish(engine, run)).state == "canceled"
        first, second = await turns_of(engine)
        assert (first.state, second.state, second.step) == ("failed", "canceled", "box/stuck")
        ((_, [part]),) = await said(engine, first.id)
        assert "s3cr3t" not in part["text"]


async def test_a_turn_that_waits_for_its_key_begins_when_it_has_it(lab: Lab) -> None:
    """What was to be claimed and found no slot has opened no task."""
    gate, key = Gate("done"), {"key": "gpu", "limit": 1}
    asks = [agent_run(name, agent="helper", prompt=name, concurrency=key, execution="parallel") for name in "ab"]
    async with lab.open(lab.workflow(*asks), agents={"helper": _agent(gate)}) as engine:
        run = await engine.start("main")
        await gate.inside()
        assert [turn.step for turn in await turns_of(engine)] == ["a"]
        gate.open()
        assert (await lab.finish(engine, run)).state == "completed"
        turns = await turns_of(engine)
        assert [(turn.step, turn.state, len(await said(engine, turn.id))) for turn in turns] == [
            ("a", "completed", 2), ("b", "completed", 2),
        ]  # fmt: skip


async def test_a_turn_elsewhere_is_a_task_too_and_is_stopped_when_that_is_cancelled(lab: Lab) -> None:
    workers = Workers()
    flow = lab.workflow(*[agent_run(name, agent="helper", prompt=name, execution="parallel") for name in "ab"])
    async with lab.open(flow, agents={"helper": _agent(Gate())}, runtime=workers) as engine:
        run = await engine.start("main")
        keys = [await workers.got(count) for count in (1, 2)]
        first, second = await turns_of(engine)
        await engine.cancel(second.id)
        assert await workers.bring(keys[0], result='{"n": 1}')
        done = await lab.finish(engine, run)
        done.failed(code="AF-AGENT-CANCELED", step="b")
        assert not await workers.bring(keys[1], result='{"n": 2}')
        assert [turn.state for turn in await turns_of(engine)] == ["completed", "canceled"]
        assert (await said(engine, first.id))[1] == ("agent", [{"data": {"n": 1}}])
        assert (workers.stopped, engine.core.slots.running) == ([(keys[1], "task_canceled")], 0)


async def test_a_turn_is_cancelled_that_is_broken_off_and_still_to_be_entered_again(lab: Lab, tmp_path: Path) -> None:
    """It queues behind a pause then, and doesn't begin when that is over."""
    gate, db = Gate("done"), tmp_path / "runs.db"
    flow = lab.workflow(agent_run("ask", agent="helper", prompt="x", on_error="continue"), set_("after", value=1))
    async with lab.open(flow, agents={"helper": _agent(gate)}, store=db) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.pause(run.id)
        doom(engine)
    async with lab.open(flow, agents={"helper": _agent(gate)}, store=db) as engine:
        assert await engine.adopt(run.id)
        (turn,) = await turns_of(engine)
        assert turn.state == "working"
        await engine.cancel(turn.id)
        await engine.unpause(run.id)
        done = await lab.finish(engine, run)
        (turn,) = await turns_of(engine)
        assert (done.state, done.reasons["ask"], turn.state, gate.entered) == ("completed", "tolerated", "canceled", 1)


async def test_a_turn_that_is_being_cancelled_when_its_host_dies_is_not_entered_again(lab: Lab, tmp_path: Path) -> None:
    db, inside, hold, entered = tmp_path / "runs.db", anyio.Event(), anyio.Event(), list[str]()

    async def agent(prompt: str) -> None:
        entered.append(prompt)
        inside.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):  # it takes its time
                await hold.wait()

    flow = lab.workflow(agent_run("ask", agent="helper", prompt="x"))
    async with dying(lab.open(flow, agents={"helper": agent}, store=db)) as engine:
        run = await engine.start("main")
        with anyio.fail_after(LIMIT):
            await inside.wait()
        (turn,) = await turns_of(engine)
        await engine.cancel(turn.id, by="ann")
        assert (await turns_of(engine))[0].state == "working"
        hold.set()
    async with lab.open(flow, agents={"helper": agent}, store=db) as engine:
        done = await lab.finish(engine, run)
        done.failed(code="AF-AGENT-CANCELED", match="by ann")
        assert ([turn.state for turn in await turns_of(engine)], entered) == (["canceled"], ["x"])
