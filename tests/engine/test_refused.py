"""Workflows that an engine refuses, and how large a workflow may be."""

from __future__ import annotations

import pytest

from agentflow.definition.models import Step
from agentflow.errors import DefinitionError
from agentflow.steps import set_
from agentflow.testing.clock import FakeClock
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio


def needs(name: str, *others: str, any_: tuple[str, ...] = ()) -> Step:
    return set_(name, value=name, depends_on=others, depends_on_any=any_)


REFUSED = {
    "circle": ([needs("a", "b"), needs("b", "c"), needs("c", "a")], "Circular dependency"),
    "itself": ([needs("a", "a")], "Circular dependency"),
    "circle of any": ([needs("a", any_=("b",)), needs("b", any_=("a",))], "Circular dependency"),
    "unknown": ([needs("a", "nope")], "does not exist"),
    "unknown any": ([needs("a", any_=("nope",))], "does not exist"),
    "twice": ([needs("a"), needs("a")], '"a"'),
}


@pytest.mark.case("A-9", "A-30", "D-CYC-1")
@pytest.mark.parametrize("name", REFUSED)
async def test_a_workflow_that_cannot_run_is_refused_at_once(lab: Lab, name: str) -> None:
    steps, message = REFUSED[name]
    with pytest.raises(DefinitionError, match=message):
        async with lab.open(lab.workflow(*steps)):
            pass
    async with lab.open(lab.workflow(needs("a"), needs("b", "a"))) as engine:
        with pytest.raises(DefinitionError, match=message):
            await engine.start(lab.workflow(*steps, id="other"))
        assert not await engine.list()
        assert (await lab.finish(engine, await engine.start("main"))).state == "completed"


@pytest.mark.case("D-CYC-2")
@pytest.mark.parametrize(
    "count", [2_000, *(pytest.param(count, marks=pytest.mark.slow) for count in (10_000, 100_000))]
)
async def test_a_chain_of_very_many_steps_starts(count: int) -> None:
    """Invariant 18. The time it takes is a benchmark's."""
    lab = Lab(FakeClock(), always_replay=False)
    steps = [set_("s0", value=0), *(needs(f"s{n}", f"s{n - 1}") for n in range(1, count))]
    async with lab.open(lab.workflow(*steps)) as engine:
        run = await engine.start("main")
        await engine.pause(run.id)
        await engine.cancel(run.id)
        assert (await engine.wait(run.id)).state == "canceled"
