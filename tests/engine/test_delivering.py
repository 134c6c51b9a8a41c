"""Artifacts that a step gives while it runs: shown at once, in order, given again by an attempt that begins anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.engine import Engine
from agentflow.engine.models import Answer
from agentflow.errors import StepError
from agentflow.steps.contract import Artifact, Context, Park, Wait
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio


def _chunk(text: str, *, append: bool = True, last: bool = False) -> Artifact:
    return Artifact("file", parts=({"text": text},), append=append, last_chunk=last)


async def _texts(engine: Engine, run_id: str) -> list[str]:
    return [part["text"] for whole in await engine.artifacts(run_id) for part in whole["parts"]]


async def test_a_watcher_sees_chunks_before_the_step_ends(lab: Lab) -> None:
    seen = anyio.Event()

    async def work(ctx: Context) -> str:
        await ctx.artifact(_chunk("one", append=False))
        await ctx.artifact(_chunk("two", last=True))
        await seen.wait()
        return "done"

    async with lab.open(lab.workflow(lab.call("x", work))) as engine:
        run = await engine.start("main")
        told: list[Any] = []
        with anyio.fail_after(60):
            async for event in engine.subscribe(run.id):
                if event.type == "artifact":
                    told.append((event.data, event.generation, await _texts(engine, run.id)))
                if len(told) == 2:
                    break
        assert (await engine.steps(run.id))[0].state == "working"
        chunks = await engine.store.chunks(run.id)
        seen.set()
        done = await lab.finish(engine, run)
    assert done.output == "done"
    assert [data for data, _, _ in told] == [
        {"artifact_id": "file", "append": False, "last_chunk": False},
        {"artifact_id": "file", "append": True, "last_chunk": True},
    ]
    assert [generation for _, generation, _ in told] == [generation for generation, _ in chunks] == [2, 3]
    assert [texts[0] for _, _, texts in told] == ["one", "one"]


async def test_a_function_in_a_thread_gives_chunks_too(lab: Lab) -> None:
    def work(ctx: Any) -> str:
        for n in range(3):
            ctx.artifact(_chunk(str(n), append=n > 0, last=n == 2))
        return "done"

    async with lab.open(lab.workflow(lab.call("x", work))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        assert await _texts(engine, done.run.id) == ["0", "1", "2"]


async def test_a_retry_gives_its_chunks_instead_of_those_of_the_attempt_before(lab: Lab) -> None:
    async def begin(ctx: Context) -> None:
        await ctx.artifact(_chunk("from the step before", append=False))

    async def work(ctx: Context) -> str:
        for n in range(ctx.tries + 1):
            await ctx.artifact(_chunk(f"try {ctx.tries}: {n}"))
        if ctx.tries == 1:
            raise RuntimeError("broken off")
        return "done"

    async with lab.open(lab.workflow(lab.call("a", begin), lab.call("x", work, retry=2))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        texts = await _texts(engine, done.run.id)
        anew = [event.data.get("anew") for event in done.events if event.type == "artifact"]
    assert texts == ["from the step before", "try 2: 0", "try 2: 1", "try 2: 2"]
    assert anew == [None, None, None, True, None, None]


async def test_an_attempt_that_goes_on_from_a_saved_state_adds_to_what_was_given(lab: Lab, tmp_path: Path) -> None:
    path, hang = tmp_path / "runs.db", anyio.Event()

    async def work(ctx: Context) -> str:
        if ctx.state is None:
            await ctx.artifact(_chunk("one", append=False))
            await ctx.save({"given": 1})
            hang.set()
            await anyio.sleep_forever()
        await ctx.artifact(_chunk("two", last=True))
        return "done"

    flow = lab.workflow(lab.call("x", work))
    async with lab.open(flow, store=path) as engine:
        run = await engine.start("main")
        with anyio.fail_after(60):
            await hang.wait()
        await engine.shutdown(0.0)
    async with lab.open(flow, store=path) as engine:
        done = await lab.finish(engine, run)
        assert (done.state, await _texts(engine, run.id)) == ("completed", ["one", "two"])


async def test_what_was_given_is_there_after_a_crash_and_no_generation_is_missing(lab: Lab) -> None:
    async def work(ctx: Context) -> str:
        for n in range(50):
            await ctx.artifact(_chunk(str(n), append=n > 0))
        return "done"

    async with lab.open(lab.workflow(lab.call("x", work))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        log = await engine.task_log(done.run.id)
        assert await _texts(engine, done.run.id) == [str(n) for n in range(50)]
    assert [event.generation for event in log] == list(range(1, len(log) + 1))
    assert [event.type for event in log].count("artifact") == 50


async def test_a_step_that_was_parked_adds_to_what_this_try_has_given_before(lab: Lab) -> None:
    async def work(ctx: Context) -> Any:
        if ctx.tries == 1:
            await ctx.artifact(_chunk("of the first try"))
            raise RuntimeError("broken off")
        if ctx.arrived is None:
            await ctx.artifact(_chunk("before the answer"))
            return Park(Wait("input", "go on?"), then="enter")
        await ctx.artifact(_chunk("after it", last=True))
        return "done"

    async with lab.open(lab.workflow(lab.call("x", work, retry=2))) as engine:
        run = await engine.wait((await engine.start("main")).id)
        (wait,) = await engine.waits(run.id)
        await engine.resume(wait.id, Answer({"value": True}))
        done = await lab.finish(engine, run)
        assert (done.state, await _texts(engine, run.id)) == ("completed", ["before the answer", "after it"])


async def test_what_an_older_attempt_saves_is_refused(lab: Lab) -> None:
    contexts: list[Context] = []

    async def work(ctx: Context) -> str:
        contexts.append(ctx)
        if ctx.tries == 1:
            raise RuntimeError("broken off")
        with pytest.raises(StepError) as caught:
            await contexts[0].save({"from": "the first"})
        assert caught.value.code == "AF-INTERRUPTED"
        return str(ctx.state)

    async with lab.open(lab.workflow(lab.call("x", work, retry=2))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert (done.state, done.results["x"]) == ("completed", "None")
