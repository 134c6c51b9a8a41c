"""Transitions that are refused: what doors, timers and steps that are being executed ask for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio

from agentflow.engine import Answer, Decline, Engine, Run
from agentflow.engine.plan import commands
from agentflow.errors import StoreError
from agentflow.steps import agent_run, wait_for_input
from agentflow.steps.contract import Artifact, Context
from agentflow.store.views import TaskQuery
from tests.engine.hands import Fails
from tests.engine.lab import Lab
from tests.engine.refusing import Cases, Stage, case

CASES: Cases = {}

WAIT = wait_for_input("w", message="?", execution="parallel")


async def _goes_on(stage: Stage, engine: Engine, run: Run, interrupted: int = 0, state: str = "completed") -> None:
    """See to it that the run of `executing` comes to its end, and that nothing was done twice."""
    if not interrupted:
        stage.here.gate.open()
    done = await stage.finish(engine, run)
    here = stage.here
    assert (done.state, here.gate.interrupted, here.gate.entered, here.reaped) == (state, interrupted, 1, [])


def _due(lab: Lab, seconds: float = 3600) -> Any:
    async def advance() -> None:
        lab.clock.advance(seconds)

    return advance


# runs


@case(CASES, commands.Begin, "a run begins")
async def _begins(stage: Stage) -> None:
    gate = stage.here.another("other")
    other = stage.lab.workflow(stage.lab.call("a", gate), id="other")
    async with stage.executing(others=[other]) as (engine, run):
        await stage.refuse(engine, commands.Begin, lambda: engine.start("other"))
        assert [found.id for found in await engine.list()] == [run.id]
        gate.open()
        done = await stage.finish(engine, await engine.start("other"))
        assert (done.output, gate.entered) == ("other", 1)
        await _goes_on(stage, engine, run)


@case(CASES, commands.Begin, "a retry of a run begins")
async def _retries(stage: Stage) -> None:
    kept, again = Fails(0, "kept"), Fails(1, "again")
    steps = (stage.lab.call("a", kept, update={"log": "{steps.a}"}), stage.lab.call("b", again))
    log: Any = {"log": {"default": [], "reducer": "append"}}
    other = stage.lab.workflow(*steps, id="other", context=log, output="{context.log}")
    async with stage.executing(others=[other]) as (engine, run):
        failed = await stage.finish(engine, await engine.start("other"))
        await stage.refuse(engine, commands.Begin, lambda: engine.retry(failed.run.id))
        assert (failed.state, again.calls, len(await engine.list())) == ("failed", 1, 2)
        retried = await engine.retry(failed.run.id)
        assert isinstance(retried, Run)
        done = await stage.finish(engine, retried)
        assert (done.state, done.output, kept.calls, again.calls) == ("completed", ["kept"], 1, 2)
        await _goes_on(stage, engine, run)


@case(CASES, commands.Cancel, "a run is cancelled")
async def _cancels(stage: Stage) -> None:
    async with stage.executing() as (engine, run):
        await stage.refuse(engine, commands.Cancel, lambda: engine.cancel(run.id))
        await _goes_on(stage, engine, run, interrupted=1, state="canceled")


@case(CASES, commands.Cancel, "a run is cancelled by another process")
async def _cancels_elsewhere(stage: Stage) -> None:
    async with stage.executing(store=stage.db) as (engine, run):
        async with stage.lab.open(stage.holding(), store=stage.db, host="none") as door:
            await stage.refuse(engine, commands.Cancel, lambda: door.cancel(run.id))
        await _goes_on(stage, engine, run, interrupted=1, state="canceled")


@case(CASES, commands.CancelTurn, "an agent's turn is cancelled")
async def _cancels_turn(stage: Stage) -> None:
    gate = stage.here.another()

    async def agent(prompt: str) -> Any:
        return prompt and await gate()

    ask = agent_run("ask", agent="helper", prompt="?", execution="parallel", on_error="continue")
    async with stage.executing(ask, agents={"helper": agent}) as (engine, run):
        (turn,) = (await engine.tasks(TaskQuery(kinds=("agent",)))).tasks
        await stage.refuse(engine, commands.CancelTurn, lambda: engine.cancel(turn.id))
        stage.here.gate.open()
        done = await stage.finish(engine, run)
        (turn,) = (await engine.tasks(TaskQuery(kinds=("agent",)))).tasks
        assert (turn.state, gate.interrupted, gate.entered) == ("canceled", 1, 1)
        assert (done.state, stage.here.gate.interrupted) == ("completed", 0)


@case(CASES, commands.Pause, "a run pauses")
async def _pauses(stage: Stage) -> None:
    gate = stage.here.another()
    async with stage.executing(stage.lab.call("after", gate, depends_on="hold")) as (engine, run):
        await stage.refuse(engine, commands.Pause, lambda: engine.pause(run.id))
        stage.here.gate.open()
        await stage.calm(engine)
        assert ((await engine.get(run.id)).paused, gate.entered) == (True, 0)
        await engine.unpause(run.id)
        gate.open()
        await _goes_on(stage, engine, run)


@case(CASES, commands.Pause, "a run goes on after a pause")
async def _unpauses(stage: Stage) -> None:
    gate = stage.here.another()
    async with stage.executing(stage.lab.call("after", gate, depends_on="hold")) as (engine, run):
        await engine.pause(run.id)
        stage.here.gate.open()
        await anyio.wait_all_tasks_blocked()
        await stage.refuse(engine, commands.Pause, lambda: engine.unpause(run.id))
        await gate.inside()
        gate.open()
        await _goes_on(stage, engine, run)
        assert gate.entered == 1


@case(CASES, commands.Unknown, "a newer version asks for something")
async def _asks_for_more(stage: Stage) -> None:
    async with stage.executing(store=stage.db) as (engine, run):

        async def asks() -> None:
            await engine.store.request(run.id, "dance", {})
            await engine.core.mailbox.take_inbox()

        await stage.refuse(engine, commands.Unknown, asks)
        assert await engine.store.inbox() == []
        await _goes_on(stage, engine, run)


# waits and times


@case(CASES, commands.Answer, "a wait is answered")
async def _answers(stage: Stage) -> None:
    async with stage.executing(WAIT) as (engine, run):
        await stage.refuse(engine, commands.Answer, lambda: engine.resume(run.id, Decline()))
        await _goes_on(stage, engine, run, interrupted=1, state="failed")


@case(CASES, commands.Answer, "a wait is answered through another process")
async def _answers_elsewhere(stage: Stage) -> None:
    gate = stage.here.another()
    after = stage.lab.call("after", gate, depends_on="w")
    async with stage.executing(WAIT, after, store=stage.db) as (engine, run):
        async with stage.lab.open(stage.holding(WAIT, after), store=stage.db, host="none") as door:
            await stage.refuse(engine, commands.Answer, lambda: door.resume(run.id, Answer("yes")))
        await gate.inside()
        gate.open()
        await _goes_on(stage, engine, run)
        assert gate.entered == 1


@case(CASES, commands.TimerFired, "the time of a container is over")
async def _times_out(stage: Stage) -> None:
    async with stage.executing() as (engine, run):
        await stage.refuse(engine, commands.TimerFired, _due(stage.lab))
        await _goes_on(stage, engine, run, interrupted=1, state="failed")


@case(CASES, commands.TimerFired, "the time of a wait is over")
async def _waited_enough(stage: Stage) -> None:
    gate = stage.here.another()
    wait = wait_for_input("w", message="?", timeout=60, default="none", execution="parallel")
    async with stage.executing(wait, stage.lab.call("after", gate, depends_on="w")) as (engine, run):
        await stage.refuse(engine, commands.TimerFired, _due(stage.lab, 60))
        await gate.inside()
        gate.open()
        await _goes_on(stage, engine, run)
        assert gate.entered == 1


@case(CASES, commands.TimerFired, "the next attempt is due")
async def _backed_off(stage: Stage) -> None:
    fails, gate = Fails(1), stage.here.another()

    async def second() -> Any:
        fails()
        return await gate()

    flaky = stage.lab.call("flaky", second, execution="parallel", retry={"max_attempts": 2, "base": 60})
    async with stage.executing(flaky) as (engine, run):
        await stage.refuse(engine, commands.TimerFired, _due(stage.lab, 60))
        await gate.inside()
        gate.open()
        await _goes_on(stage, engine, run)
        assert (gate.entered, fails.calls) == (1, 2)


# what executing steps tell


async def _logs(ctx: Context) -> None:
    ctx.log("said")
    await anyio.Event().wait()


@case(CASES, commands.Note, "a step tells something")
async def _notes(stage: Stage) -> None:
    async with stage.executing() as (engine, run):
        await stage.refuse(engine, commands.Note, partial(stage.here.does, _logs))
        await engine.cancel(run.id)
        done = await stage.finish(engine, run)
        assert [event.data["text"] for event in done.events if event.type == "step_log"] == ["said"]


@case(CASES, commands.Saved, "a step saves its state")
async def _saves(stage: Stage) -> None:
    async def saves(ctx: Context) -> None:
        await ctx.save("another")

    await _asks(stage, commands.Saved, saves)


@case(CASES, commands.Delivered, "a step gives an artifact")
async def _delivers(stage: Stage) -> None:
    async def gives(ctx: Context) -> None:
        await ctx.artifact(Artifact("a", parts=({"text": "x"},)))

    await _asks(stage, commands.Delivered, gives)


async def _asks(stage: Stage, command: type[Any], call: Callable[[Context], Awaitable[None]]) -> None:
    """Let the step be told that the store refuses it, and ask once more."""
    told: list[StoreError] = []

    async def acts(ctx: Context) -> None:
        try:
            await call(ctx)
        except StoreError as error:
            told.append(error)
        await call(ctx)

    async with stage.executing() as (engine, run):
        await stage.refuse(engine, command, partial(stage.here.does, acts))
        await _goes_on(stage, engine, run)
        assert [error.code for error in told] == ["AF-STORE-FULL"]
        assert len(await engine.store.artifacts(run.id)) == (command is commands.Delivered)
