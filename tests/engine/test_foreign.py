"""What a stopped host has to do costs the others nothing: no loads of its trees, and their own timers on time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.steps import delay
from agentflow.store import open_store
from agentflow.store.liveness import Liveness
from agentflow.store.rows import RunChange, TimerRow
from agentflow.testing.store_suite.builders import new_run, text_id
from tests.engine.hands import by_hand
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio
FOREIGN = 520
"""More than a host asks for at once."""


async def _left_by_a_stopped_host(db: Path, due: float) -> Liveness:
    """Leave trees with overdue timers and with a command each, held by a host that lives and does nothing."""
    store = await open_store(db)
    store.holder = "stopped"
    await store.liveness.join(store.holder)
    changes: list[RunChange] = []
    for number in range(FOREIGN):
        key = (await store.new_keys())[0]
        timers = [TimerRow(due, key, 0, "timer")]
        changes.append(RunChange(key, key, 1, create=new_run(f"f{number}"), timers=timers))
    assert not await store.commit(changes)
    for number in range(FOREIGN):
        await store.request(text_id(f"f{number}"), "pause", {})
    await store.close()
    return store.liveness


async def test_overdue_timers_and_commands_of_a_stopped_host_keep_nobody_from_their_own(
    lab: Lab, tmp_path: Path
) -> None:
    lab = by_hand(lab)
    db = tmp_path / "runs.db"
    stopped = await _left_by_a_stopped_host(db, lab.clock.now() - 10)
    async with lab.open(lab.workflow(delay("nap", for_=3)), store=db) as engine:
        loads, load = list[int](), engine.store.load

        async def counted(root: int) -> Any:
            loads.append(root)
            return await load(root)

        engine.store.load = counted
        run = await engine.start("main")
        lab.clock.advance(3)
        with anyio.fail_after(LIMIT):
            assert (await engine.wait(run.id)).state == "completed"
        row = await engine.store.get_run(run.id)
        assert row is not None
        assert set(loads) <= {row.run}
    await stopped.leave()
