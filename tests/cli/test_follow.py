"""Following a run that another process executes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

from agentflow import Engine, Workflow
from agentflow.cli import follow
from agentflow.cli.follow import Follower, Manner
from agentflow.cli.options import Common
from agentflow.cli.session import Project, Session
from agentflow.steps import set_
from agentflow.store.rows import Event

pytestmark = pytest.mark.anyio


async def test_a_run_that_is_seen_ended_before_its_last_events_came_is_told_to_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(follow, "IDLE", 0.3)
    workflow = Workflow(id="flow", steps=(set_("first", value=1), set_("last", value=2)))
    async with Engine.open(":memory:", workflows=[workflow]) as engine:
        run = await engine.wait((await engine.start("flow", {})).id)
        looked, get, subscribe = anyio.Event(), engine.get, engine.subscribe

        async def seen(run_id: str) -> Any:
            found = await get(run_id)
            looked.set()
            return found

        async def late(run_id: str, after: int = 0, *, tree: bool = False) -> AsyncGenerator[Event]:
            await looked.wait()
            async for event in subscribe(run_id, after, tree=tree):
                yield event

        monkeypatch.setattr(engine, "get", seen)
        monkeypatch.setattr(engine, "subscribe", late)
        session = Session(Common().console(), Project(":memory:"), engine)
        with anyio.fail_after(10):
            assert await Follower(session, run.id, Manner(), ours=True).follow() == "ended"
    told = capsys.readouterr().err
    assert "step last completed" in told
