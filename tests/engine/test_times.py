"""Delays, start times and what stands beside them, on virtual time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from agentflow.steps import delay, set_
from tests.engine.hands import by_hand
from tests.engine.lab import Done, Lab, until

pytestmark = pytest.mark.anyio


def at(lab: Lab, seconds: float) -> str:
    return datetime.fromtimestamp(lab.clock.now() + seconds, UTC).isoformat()


def begun(done: Done, step: str) -> float:
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
