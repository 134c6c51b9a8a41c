"""A retry that is started by a process which executes nothing: whoever takes the run keeps the kept steps."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from agentflow.definition.models import SharedKey, Workflow
from agentflow.engine import Run
from agentflow.steps import set_
from tests.engine.hands import Fails
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio


async def test_the_process_that_takes_a_retry_keeps_its_steps(lab: Lab, tmp_path: Path) -> None:
    path, costly, fails = tmp_path / "runs.db", Fails(0, 7), Fails(1, 8)
    flow = Workflow(
        id="main",
        steps=(
            lab.call("costly", costly, update={"total": "{steps.costly}"}),
            set_("skipped", value=1, if_="false"),
            lab.call("fails", fails),
            set_("end", value="{context.total}"),
        ),
        context={"total": SharedKey()},
    )
    async with lab.open(flow, store=path) as engine:
        first = (await lab.finish(engine, await engine.start("main"))).run
        assert first.state == "failed"
    async with lab.open(flow, store=path, host="none") as engine:
        new = await engine.retry(first.id)
        assert isinstance(new, Run)
        assert (new.state, new.retry_of) == ("submitted", first.id)
        assert [(row.address, row.state) for row in await engine.steps(new.id)] == [
            ("costly", "completed"),
            ("skipped", "canceled"),
        ]
    async with lab.open(flow, store=path) as engine:
        with anyio.fail_after(LIMIT):
            done = await lab.finish(engine, new)
    assert (done.state, done.output, costly.calls, fails.calls) == ("completed", 7, 1, 2)
    assert done.steps_of("step_kept") == ["costly", "skipped"]
    assert done.kinds[0] == "run_started"
