"""Log lines and progress of running steps: few events of many lines, within bounds, and what is left out is told."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from agentflow.engine import Event
from agentflow.engine.attempt.notes import pieces
from agentflow.steps import step
from agentflow.steps.contract import Context
from agentflow.testing import RunOutcome
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio


def logged(done: RunOutcome) -> list[str]:
    """Return the events of the log."""
    return [event.data["text"] for event in done.events if event.type == "step_log"]


def lines(done: RunOutcome) -> list[str]:
    """Return the lines of the log."""
    return "\n".join(logged(done)).split("\n")


def limits(**more: int) -> dict[str, Any]:
    return {"config": {"limits": more}}


async def test_a_flood_of_streamed_lines_becomes_few_events_of_one_kind(lab: Lab) -> None:
    script = {"run": "seq 1 50000", "output_format": "stream"}
    done = await lab.run(step("a", "script", script), output="{steps.a.output}")
    assert done.state == "completed"
    assert lines(done) == [str(number) for number in range(1, 50_001)]
    assert len(logged(done)) <= 80
    assert "step_progress" not in done.kinds


async def test_lines_that_a_function_tells_in_a_flood_are_joined_in_order(lab: Lab) -> None:
    async def tell(ctx: Context) -> None:
        for number in range(5000):
            ctx.log(str(number))

    done = await lab.run(lab.call("a", tell))
    assert lines(done) == [str(number) for number in range(5000)]
    assert len(logged(done)) <= 60


async def test_what_waits_to_be_told_is_told_while_the_step_goes_on(lab: Lab) -> None:
    told = anyio.Event()

    async def tell(ctx: Context) -> None:
        for number in range(100):
            ctx.log(str(number))
        await told.wait()

    async with lab.open(lab.workflow(lab.call("a", tell))) as engine:
        run = await engine.start("main")
        with anyio.fail_after(LIMIT):
            async for event in engine.subscribe(run.id):
                if event.type == "step_log" and event.data["text"].endswith("99"):
                    break
        told.set()
        assert (await lab.finish(engine, run)).state == "completed"


async def test_of_a_flood_of_progress_the_last_counts(lab: Lab) -> None:
    async def tell(ctx: Context) -> None:
        for number in range(5001):
            ctx.progress(number / 5000, f"{number} of 5000")

    done = await lab.run(lab.call("a", tell))
    told: list[Event] = [event for event in done.events if event.type == "step_progress"]
    assert told[-1].data == {"fraction": 1.0, "message": "5000 of 5000"}
    assert len(told) <= 40


async def test_progress_and_lines_by_turns_are_few_events_too(lab: Lab) -> None:
    async def tell(ctx: Context) -> None:
        for number in range(3000):
            ctx.log(str(number), f"level {number}")
            ctx.progress(None, str(number))

    done = await lab.run(lab.call("a", tell))
    assert sorted(map(int, lines(done))) == list(range(3000))
    assert len([event for event in done.events if event.type in ("step_log", "step_progress")]) <= 80


async def test_more_than_a_runs_share_is_left_out_and_counted(lab: Lab) -> None:
    async def tell(ctx: Context) -> None:
        for number in range(1000):
            ctx.log(f"line {number}")

    done = await lab.run(lab.call("a", tell), options=limits(log_size=10_000))
    kept = [text for text in lines(done) if text.startswith("line")]
    assert 100 < len(kept) < 300
    assert lines(done)[-1] == f"… {1000 - len(kept)} lines left out"


async def test_more_than_a_share_of_a_second_is_left_out_unless_the_step_waits(lab: Lab) -> None:
    async def tell(ctx: Context) -> None:
        for number in range(40):
            ctx.log(f"line {number} {'x' * 1000}")

    async def wait(ctx: Context) -> None:
        for number in range(40):
            ctx.log(f"line {number} {'x' * 1000}")
            await ctx.drain()

    for function, whole in ((tell, False), (wait, True)):
        done = await lab.run(lab.call("a", function), options=limits(log_rate=30_000))
        assert (len([text for text in lines(done) if text.startswith("line")]) == 40) is whole
        assert any(text.endswith("left out") for text in lines(done)) is not whole


@pytest.mark.parametrize("canceled", [False, True])
async def test_what_a_step_told_before_it_ended_badly_is_kept(lab: Lab, canceled: bool) -> None:
    inside = anyio.Event()

    async def tell(ctx: Context) -> None:
        for number in range(500):
            ctx.log(str(number))
        inside.set()
        if canceled:
            await anyio.sleep_forever()
        raise ValueError("no")

    async with lab.open(lab.workflow(lab.call("a", tell))) as engine:
        run = await engine.start("main")
        with anyio.fail_after(LIMIT):
            await inside.wait()
        if canceled:
            await engine.cancel(run.id)
        done = await lab.finish(engine, run)
    assert done.state == ("canceled" if canceled else "failed")
    assert lines(done) == [str(number) for number in range(500)]
    kinds = done.kinds
    ended = kinds.index("step_canceled" if canceled else "step_failed")
    assert max(at for at, kind in enumerate(kinds) if kind == "step_log") < ended


async def test_a_very_long_text_is_cut_and_does_not_use_up_the_share(lab: Lab) -> None:
    async def tell(ctx: Context) -> None:
        ctx.log("x" * 5_000_000)
        ctx.log("after")

    done = await lab.run(lab.call("a", tell))
    assert [len(text) for text in logged(done)][-1] == len("after")
    assert max(len(text) for text in logged(done)) <= 10_000


def test_a_text_is_cut_between_its_lines() -> None:
    assert list(pieces("ab\ncd\nef", 5)) == ["ab\ncd", "ef"]
    assert list(pieces("abcdefgh\nij", 5)) == ["abcde", "ij"]
    assert list(pieces("abcdefgh", 5)) == ["abcde"]
    assert list(pieces("", 5)) == [""]
    text = "\n" * 100_000
    assert "\n".join(pieces(text, 1000)) == text


async def test_progress_is_a_change_of_the_run_s_task_and_lines_of_the_log_are_none(lab: Lab) -> None:
    async def tell(ctx: Context) -> None:
        ctx.log("a line")
        ctx.progress(0.5, "half")

    done = await lab.run(lab.call("a", tell))
    numbers = {event.type: event.generation for event in done.events}
    assert numbers["step_log"] is None
    assert numbers["step_progress"] == 2
    assert numbers["run_completed"] == 3
