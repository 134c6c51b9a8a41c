"""Delays, start times and what stands beside them, on virtual time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from pydantic import Field

from agentflow import Context, Result, step_type
from agentflow.definition.models import Model, Step
from agentflow.steps import delay, poll, recur, schedule, set_, step
from agentflow.steps.contract import EventWait, Park, Timer, Wait
from agentflow.testing import RunOutcome
from tests.engine.hands import by_hand
from tests.engine.lab import Lab, until

pytestmark = pytest.mark.anyio


def at(lab: Lab, seconds: float) -> str:
    return datetime.fromtimestamp(lab.clock.now() + seconds, UTC).isoformat()


def begun(done: RunOutcome, step: str) -> float:
    """Return how long after the run's start a step was started."""
    return round(next(e.at for e in done.events if (e.type, e.step) == ("step_started", step)) - done.run.created_at, 3)


@pytest.mark.case("A-10")
@pytest.mark.parametrize(
    ("fields", "seconds"),
    [({"delay": 0.1}, 0.1), ({"at": 0.1}, 0.1), ({"at": -50.0}, 0.0), ({"delay": 0.2, "at": 0.1}, 0.3)],
)
async def test_a_step_starts_at_its_time_plus_its_delay_and_a_time_that_is_past_is_now(
    lab: Lab, fields: dict[str, float], seconds: float
) -> None:
    common: Any = {name: at(lab, value) if name == "at" else value for name, value in fields.items()}
    done = await lab.run(set_("a", value=1, **common))
    assert (done.state, begun(done, "a")) == ("completed", seconds)


@pytest.mark.case("A-20")
async def test_a_delayed_step_starts_at_its_time_whatever_else_takes_longer(lab: Lab) -> None:
    hand = by_hand(lab)
    steps = [delay("long", for_=1, execution="parallel"), set_("a", value=1, delay=0.05, execution="parallel")]
    async with hand.open(hand.workflow(*steps)) as engine:
        run = await engine.start("main")
        hand.clock.advance(0.05)
        await until(engine, run.id, "step_completed", "a")
        assert (await hand.look(engine, run.id)).states["long"] == "working"
        hand.clock.advance(0.95)
        done = await hand.finish(engine, run)
    assert (done.state, begun(done, "a")) == ("completed", 0.05)


AFTER_ALL = 1e300
MICROSECONDS = 1_764_000_000_000_000


TIMED: tuple[Callable[[Any], Step], ...] = (
    lambda x: delay("a", until=x),
    lambda x: delay("a", for_=x),
    lambda x: set_("a", value=1, at=x),
    lambda x: set_("a", value=1, delay=x),
    lambda x: schedule("a", until=x, steps=[set_("b", value=1)]),
    lambda x: schedule("a", after=x, steps=[set_("b", value=1)]),
    lambda x: poll("a", interval=x, until="false", body=set_("b", value=1)),
    lambda x: recur("a", interval=x, steps=[set_("b", value=1)]),
)


@pytest.mark.parametrize("made", TIMED)
@pytest.mark.parametrize("value", [AFTER_ALL, MICROSECONDS])
async def test_a_computed_time_that_no_date_can_be_fails_its_step_with_a_hint(
    lab: Lab, made: Callable[[Any], Step], value: Any
) -> None:
    done = await lab.run(made("{input.x}"), input={"x": value})
    error = done.errors["a"]
    assert (done.state, error.code, error.retryable) == ("failed", "AF-FIELD-VALUE", False)
    assert error.hint is not None
    assert "milliseconds" in error.hint


@pytest.mark.parametrize(
    "wait",
    [
        Timer(AFTER_ALL), Timer(float("inf")), Wait("input", "?", timeout=AFTER_ALL), Wait("input", "?", timeout=-1.0),
        EventWait("t", timeout=float("nan")), EventWait("t", since=AFTER_ALL),
    ],
)  # fmt: skip
async def test_a_time_that_own_code_waits_for_is_looked_at_too(lab: Lab, wait: Any) -> None:
    done = await lab.run(lab.call("a", lambda: Park(wait)))
    assert (done.state, done.errors["a"].code) == ("failed", "AF-FIELD-VALUE")


async def test_a_time_in_milliseconds_is_waited_for(lab: Lab) -> None:
    due = round((lab.clock.now() + 0.1) * 1000)
    done = await lab.run(delay("a", until="{input.x}"), set_("b", value=1), input={"x": due})
    assert (done.state, begun(done, "b")) == ("completed", 0.1)
    done = await lab.run(lab.call("a", lambda: Park(Timer(round((lab.clock.now() + 0.1) * 1000)))))
    assert done.state == "completed"


async def test_a_time_and_a_delay_that_end_after_all_dates_fail(lab: Lab) -> None:
    done = await lab.run(set_("a", value=1, at="9998-12-31", delay="10d"))
    assert (done.state, done.errors["a"].code) == ("failed", "AF-FIELD-VALUE")


class Level(Model):
    name: str = ""
    level: Annotated[int, Field(le=5)] = 0
    token: str = ""


@step_type("levelled", config=Level, outbound=("token",))
async def levelled(config: Level, ctx: Context) -> Result:
    return Result(config.level)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "{input.n}"}, '"name" must be text, not 5'),
        ({"level": "{input.n7}"}, '"level" must be at most 5, not 7'),
        ({"level": "{input.s}"}, f'"level" must be a whole number, not "{"x" * 39}…"'),
        ({"token": "{input.n}"}, '"token" has a value that doesn\'t fit'),
    ],
)
async def test_a_computed_value_that_does_not_fit_is_told_with_the_value(
    lab: Lab, fields: dict[str, str], message: str
) -> None:
    done = await lab.run(step("a", "levelled", fields), input={"n": 5, "n7": 7, "s": "x" * 500})
    assert (done.state, done.errors["a"].code[:9]) == ("failed", "AF-FIELD-")
    assert done.errors["a"].message == message
