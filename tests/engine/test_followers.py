"""Who follows a task reads its log together with all others who do."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from agentflow import Answer, Engine, Workflow, config_from
from agentflow.principal import LOCAL
from agentflow.steps import set_, wait_for_input
from agentflow.store.rows import Event

pytestmark = pytest.mark.anyio
FOLLOWERS = 30


async def test_the_log_of_a_task_is_read_once_for_all_who_follow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [wait_for_input("ask", message="And?"), set_("end", value=1)]
    config = config_from([Workflow.model_validate({"id": "main", "steps": steps})])
    reads = 0
    told: list[list[str]] = []
    async with Engine.open(":memory:", config=config) as engine:
        read = engine.store.task_log

        async def counted(*given: Any) -> list[Event]:
            nonlocal reads
            reads += 1
            return await read(*given)

        monkeypatch.setattr(engine.store, "task_log", counted)
        run = await engine.wait((await engine.start("main")).id)
        begun, all_begun = 0, anyio.Event()

        async def follow() -> None:
            nonlocal begun
            seen: list[str] = []
            async for change in engine.told.changes(run.id, 0, LOCAL):
                seen.append(change.event.type)
                if len(seen) == 2:
                    begun += 1
                    if begun == FOLLOWERS:
                        all_begun.set()
            told.append(seen)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for _ in range(FOLLOWERS):
                    group.start_soon(follow)
                await all_begun.wait()
                await engine.resume(run.id, Answer("yes"))
    assert told == [told[0]] * FOLLOWERS
    assert told[0][-1] == "run_completed"
    assert reads < FOLLOWERS
