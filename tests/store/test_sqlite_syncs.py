"""Which commits wait for the disk: all under `strict`; under `relaxed` those that claim what runs at most once."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from agentflow.config import config_from
from agentflow.engine import Engine
from agentflow.steps import Workflow, python
from agentflow.store import open_store
from agentflow.store.rows import RunChange
from agentflow.testing import slow_disk
from agentflow.testing.store_suite.builders import note, start

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("durability", "expected"), [("relaxed", [False, True, False]), ("strict", [True] * 3)])
async def test_a_commit_that_has_to_survive_a_power_cut_is_synced(
    tmp_path: Path, durability: Literal["relaxed", "strict"], expected: list[bool]
) -> None:
    with slow_disk(0.0) as disk:
        store = await open_store(tmp_path / "runs.db", durability=durability)
        key = await start(store, "r1")
        synced: list[bool] = []
        for wanted in (False, True, False):
            before = disk.syncs
            assert not await store.commit([RunChange(key, key, 1, events=[note("x")], synced=wanted)])
            synced.append(disk.syncs > before)
        await store.close()
    assert synced == expected


async def test_under_relaxed_durability_the_claim_of_a_step_that_runs_at_most_once_is_on_the_disk(
    tmp_path: Path,
) -> None:
    syncs: list[int] = []
    with slow_disk(0.0) as disk:

        def look() -> None:
            syncs.append(disk.syncs)

        once = python("pay", function="m:look", at_most_once=True)
        flow = Workflow(id="flow", steps=(python("a", function="m:look"), once, python("b", function="m:look")))
        store = await open_store(tmp_path / "runs.db", durability="relaxed")
        config = config_from([flow], skills=["native:python"])
        async with Engine.open(store, config=config, functions={"m:look": look}) as engine:
            run = await engine.wait((await engine.start("flow")).id)
        await store.close()
    assert run.state == "completed"
    before, claimed, after = syncs
    assert claimed > before
    assert after == claimed
