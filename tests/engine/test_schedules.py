"""Delays, schedules, recurring steps and polls: virtual time, stored due times, no cost while nothing is due."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from agentflow.steps import (
    delay,
    poll,
    recur,
    schedule,
    set_,
)
from tests.engine import lab as labs
from tests.engine.hands import Fails, Gate, by_hand
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio


@pytest.mark.case("W-E-14")
async def test_a_poll_ends_when_the_answer_is_as_wanted(lab: Lab) -> None:
    answers = iter([{"state": "new"}, {"state": "old"}, {"state": "ready", "n": 7}])
    look = lab.call("body", lambda: next(answers))
    done = await lab.run(poll("job", body=look, until='steps.body.state == "ready"', interval=30))
    assert (done.state, done.output) == ("completed", {"state": "ready", "n": 7})
    assert done.events[-1].at - done.events[0].at == 60


@pytest.mark.case("W-E-14")
async def test_a_poll_that_takes_too_long_fails(lab: Lab) -> None:
    look = Fails(0, {"state": "new"})
    done = await lab.run(
        poll("job", body=lab.call("body", look), until='steps.body.state == "ready"', interval=30, timeout=100)
    )
    assert (done.state, done.errors["job"].code, look.calls) == ("failed", "AF-TIMEOUT", 4)


@pytest.mark.case("W-E-6")
async def test_a_schedule_runs_its_steps_once_after_its_time(lab: Lab) -> None:
    body = Fails(0, "ran")
    done = await lab.run(
        schedule("later", after="2h", steps=[lab.call("x", body)]), set_("after", value="{steps.later}")
    )
    assert (done.output, body.calls) == ([{"x": "ran"}], 1)
    assert done.events[-1].at - done.events[0].at == 7200


@pytest.mark.case("W-E-6")
async def test_a_recurring_step_runs_until_its_condition_holds_or_its_count_is_reached(lab: Lab) -> None:
    three, by_condition = Fails(0, 1), iter([1, 2, 3, 4, 5])
    counted = recur("three", interval=60, max=3, steps=[lab.call("x", three)])
    ended = recur("cond", interval=60, until="steps.x >= 2", steps=[lab.call("x", lambda: next(by_condition))])
    done = await lab.run(counted, ended, output=["{steps.three}", "{steps.cond}"])
    assert done.output == [[{"x": 1}] * 3, [{"x": 1}, {"x": 2}]]
    assert done.events[-1].at - done.events[0].at == 180


@pytest.mark.case("F-N-1")
@pytest.mark.parametrize(
    ("cron", "zone", "times"),
    [
        ("*/15 * * * *", "UTC", ["22:15:00", "22:30:00"]),
        ("30 0 4 * * *", "UTC", ["04:00:30", "04:00:30"]),
        ("0 9 * * mon", "Europe/Berlin", ["08:00:00", "08:00:00"]),
        ("0 0 1 * *", "UTC", ["00:00:00", "00:00:00"]),
    ],
)
async def test_a_cron_expression_of_five_or_six_fields_names_the_times_in_its_zone(
    lab: Lab, cron: str, zone: str, times: list[str]
) -> None:
    """The clock begins on Tuesday 2023-11-14 at 22:13:20 UTC."""
    seen: list[str] = []

    def note(ctx: Any) -> None:
        seen.append(datetime.fromtimestamp(ctx.now(), UTC).strftime("%H:%M:%S"))

    done = await lab.run(recur("r", cron=cron, timezone=zone, max=2, steps=[lab.call("x", note)]))
    assert (done.state, seen) == ("completed", times)


@pytest.mark.case("W-E-5", "A-10", "F-N-1")
async def test_a_delay_lets_the_next_step_start_once_after_its_time(lab: Lab) -> None:
    after = Fails(0)
    done = await lab.run(delay("nap", for_="100ms"), lab.call("after", after))
    (start,) = [event.at for event in done.events if event.step == "after" and event.type == "step_started"]
    assert (after.calls, round(start - done.events[0].at, 6)) == (1, 0.1)


@pytest.mark.case("A-20")
async def test_a_delayed_step_starts_at_its_time_beside_a_long_one(lab: Lab) -> None:
    still = by_hand(lab)
    long, short = Gate(), Gate()
    steps = still.call("long", long), still.call("short", short, delay="50ms")
    async with still.open(still.workflow(*steps, execution="parallel")) as engine:
        run = await engine.start("main")
        await long.inside()
        still.clock.advance(0.04)
        assert short.entered == 0
        still.clock.advance(0.01)
        await short.inside()
        short.open()
        await labs.until(engine, run.id, "step_completed", "short")
        assert long.interrupted == 0
        long.open()
        assert (await still.finish(engine, run)).state == "completed"


@pytest.mark.case("W-E-18")
async def test_a_run_that_sleeps_costs_nothing_until_its_time(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    still = by_hand(lab)
    async with still.open(still.workflow(delay("nap", for_="1h"))) as engine:
        run = await engine.start("main")
        with anyio.fail_after(LIMIT):
            await anyio.wait_all_tasks_blocked()
        looks = 0
        next_due = engine.store.next_due

        async def counted(*args: Any) -> Any:
            nonlocal looks
            looks += 1
            return await next_due(*args)

        monkeypatch.setattr(engine.store, "next_due", counted)
        for _ in range(10):
            still.clock.advance(60)
            await anyio.wait_all_tasks_blocked()
        assert (looks, engine.core.cache.trees) == (0, {})
        still.clock.advance(3000)
        assert (await still.finish(engine, run)).state == "completed"


@pytest.mark.case("W-E-19")
async def test_a_long_step_of_one_run_holds_up_no_other_run(lab: Lab) -> None:
    gate = Gate()
    long, quick = lab.workflow(lab.call("x", gate), id="long"), lab.workflow(lab.call("x", lambda: 1), id="quick")
    async with lab.open(long, quick) as engine:
        slow = await engine.start("long")
        await gate.inside()
        done = await lab.finish(engine, await engine.start("quick"))
        assert (done.state, (await engine.get(slow.id)).state) == ("completed", "working")
        gate.open()
        assert (await lab.finish(engine, slow)).state == "completed"


@pytest.mark.parametrize("pause", [0, "0s", None])
async def test_a_computed_interval_of_nothing_ends_a_loop_that_has_no_other_end(lab: Lab, pause: Any) -> None:
    again = recur("a", interval="{input.x}", steps=[set_("b", value=1)])
    done = await lab.run(again, input={"x": pause})
    assert (done.state, done.errors["a"].code, done.errors["a"].retryable) == ("failed", "AF-LOOP-ENDLESS", False)
    done = await lab.run(recur("a", interval="{input.x}", max=3, steps=[set_("b", value=1)]), input={"x": pause})
    assert done.output == [{"b": 1}] * 3


@pytest.mark.parametrize("pause", [[], {}, "", False])
async def test_what_is_no_duration_is_not_taken_for_no_pause(lab: Lab, pause: Any) -> None:
    for step in (recur("a", interval="{input.x}", max=2, steps=[set_("b", value=1)]),
                 schedule("a", after="{input.x}", steps=[set_("b", value=1)])):  # fmt: skip
        done = await lab.run(step, input={"x": pause})
        assert (done.state, done.errors["a"].code) == ("failed", "AF-FIELD-VALUE")
