"""Transitions that are refused: steps that are handed to workers elsewhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from agentflow.definition.models import Step
from agentflow.engine import Answer, Engine, Run
from agentflow.engine.plan import commands
from agentflow.steps import wait_for_input
from agentflow.testing.faults import doom
from tests.engine.hands import Fails
from tests.engine.refusing import Cases, Stage, case
from tests.engine.workers import Workers

CASES: Cases = {}


@asynccontextmanager
async def _opened(
    stage: Stage, workers: Workers, *beside: Step, store: Path | str = ":memory:", **options: Any
) -> AsyncGenerator[Engine]:
    """Open an engine whose workers are elsewhere; what is sent to them, and answered, is noted."""
    stage.here.sent = lambda: len(workers.out) + len(workers.again) + len(workers.stopped) + workers.answered
    first = stage.lab.call("a", Fails(0), execution="parallel")
    flow = stage.lab.workflow(first, *beside, stage.lab.call("b", Fails(0)))
    async with stage.open(flow, runtime=workers, store=store, **options) as engine:
        yield engine


async def _ends(stage: Stage, engine: Engine, workers: Workers, run: Run, *, calls: int) -> None:
    """Bring what the second step came to: it was handed out once."""
    assert await workers.bring(await workers.got(calls), result="6")
    done = await stage.finish(engine, run)
    assert (done.state, done.output, len(workers.out)) == ("completed", 6, calls)


@case(CASES, commands.Begin, "a step of a run that begins is handed out")
async def _hands_out(stage: Stage) -> None:
    workers = Workers()
    async with _opened(stage, workers) as engine:
        await stage.refuse(engine, commands.Begin, lambda: engine.start("main"))
        run = await engine.start("main")
        assert await workers.bring(await workers.got(), result="5")
        await _ends(stage, engine, workers, run, calls=2)


@case(CASES, commands.Outcome, "a worker elsewhere brings a result")
async def _brings(stage: Stage) -> None:
    """It isn't answered, and the next step isn't handed out."""
    workers = Workers()
    async with _opened(stage, workers) as engine:
        run = await engine.start("main")
        key = await workers.got()
        await stage.refuse(engine, commands.Outcome, lambda: workers.bring(key, result="5"))
        assert workers.answered == 1
        await _ends(stage, engine, workers, run, calls=2)


@case(CASES, commands.Outcome, "a worker elsewhere is gone")
async def _loses(stage: Stage) -> None:
    workers = Workers()
    async with _opened(stage, workers) as engine:
        run = await engine.start("main")
        key = await workers.got()

        async def lost() -> None:
            assert workers.holder is not None
            workers.holder.lost(key)

        await stage.refuse(engine, commands.Outcome, lost)
        assert await workers.bring(await workers.got(2), result="5")
        await _ends(stage, engine, workers, run, calls=3)
        assert (await engine.steps(run.id))[0].crashes == 1


@case(CASES, commands.Begun, "a step begins again elsewhere")
async def _begins_again(stage: Stage) -> None:
    """And can be stopped there."""
    workers = Workers()
    async with _opened(stage, workers) as engine:
        run = await engine.start("main")
        key = await workers.got()

        async def lost() -> None:
            assert workers.holder is not None
            workers.holder.lost(key)

        await stage.refuse(engine, commands.Begun, lost)
        key = await workers.got(2)
        await anyio.wait_all_tasks_blocked()
        await engine.cancel(run.id)
        assert (await stage.finish(engine, run)).state == "canceled"
        assert workers.stopped == [(key, "run_canceled")]


@case(CASES, commands.Cancel, "a step elsewhere is stopped")
async def _stops(stage: Stage) -> None:
    workers = Workers()
    async with _opened(stage, workers) as engine:
        run = await engine.start("main")
        key = await workers.got()
        await anyio.wait_all_tasks_blocked()
        await stage.refuse(engine, commands.Cancel, lambda: engine.cancel(run.id))
        assert (await stage.finish(engine, run)).state == "canceled"
        assert workers.stopped == [(key, "run_canceled")]


@case(CASES, commands.Saved, "a step elsewhere saves its state")
async def _saves(stage: Stage) -> None:
    workers = Workers()
    async with _opened(stage, workers) as engine:
        run = await engine.start("main")
        key = await workers.got()
        answers: list[Any] = []

        async def saves() -> None:
            answers.append(await workers.ask(key, "save", 1))

        await stage.refuse(engine, commands.Saved, saves)
        assert [list(answer) for answer in answers] == [["store"]]
        assert await workers.ask(key, "save", 1) == {"value": None}
        assert await workers.bring(key, result="5")
        await _ends(stage, engine, workers, run, calls=2)


@case(CASES, commands.Touch, "a step that a dead host has handed out is taken over")
async def _takes_over(stage: Stage) -> None:
    before, after = Workers(), Workers()
    wait = wait_for_input("ask", message="?", execution="parallel")
    async with _opened(stage, before, wait, store=stage.db) as engine:
        run = await engine.start("main")
        key = await before.got()
        await anyio.wait_all_tasks_blocked()
        doom(engine)
    async with _opened(stage, after, wait, store=stage.db, host="none") as door:
        await door.resume(run.id, Answer("yes"))
    async with _opened(stage, after, wait, store=stage.db, host="own") as engine:
        await stage.refuse(engine, commands.Touch, lambda: engine.adopt(run.id))
        assert await after.got(again=True) == key
        assert await after.bring(key, result="5")
        await _ends(stage, engine, after, run, calls=1)
        assert len(after.again) == 1
