"""A fault of agentflow itself in a commit: it stops the run that it happened in, and nothing hangs or is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from agentflow.definition.models import Workflow
from agentflow.engine import Engine
from agentflow.steps import checkpoint, set_
from agentflow.store.acknowledgement import Fenced
from agentflow.store.contract import Definitions
from agentflow.store.rows import RunChange

pytestmark = pytest.mark.anyio

MAIN = Workflow(id="main", steps=(checkpoint("a", message="so far"), set_("b", value=1)))
OTHER = Workflow(id="other", steps=(set_("a", value=2),))


async def test_a_fault_in_a_commit_leaves_the_run_to_the_next_process_and_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, struck = tmp_path / "runs.db", anyio.Event()
    with anyio.fail_after(60):
        async with Engine.open(path, workflows=[MAIN, OTHER]) as engine:
            real = engine.store.commit

            async def faulty(changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
                if not struck.is_set() and any(e.type == "step_completed" for c in changes for e in c.events):
                    struck.set()
                    raise RuntimeError("a fault")
                return await real(changes)

            monkeypatch.setattr(engine.store, "commit", faulty)
            run = await engine.start("main")
            await struck.wait()
            other = await engine.start("other")
            assert (await engine.wait(other.id)).state == "completed"
            assert (await engine.get(run.id)).state == "working"
            with pytest.raises(RuntimeError, match="a fault"):  # who waits for it isn't left in the dark
                await engine.wait(run.id)
        assert f"left alone as they are: {run.id}" in caplog.text
        async with Engine.open(path, workflows=[MAIN, OTHER]) as engine:
            ended = await engine.wait(run.id)
            assert (ended.state, ended.output) == ("completed", 1)


async def test_who_starts_a_run_is_told_of_the_fault_that_kept_it_from_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with anyio.fail_after(60):
        async with Engine.open(tmp_path / "runs.db", workflows=[MAIN]) as engine:

            async def faulty(changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
                raise RuntimeError("a fault")

            with monkeypatch.context() as patch:
                patch.setattr(engine.store, "commit", faulty)
                with pytest.raises(RuntimeError, match="a fault"):
                    await engine.start("main")
            assert not await engine.list()
            run = await engine.start("main")
            assert (await engine.wait(run.id)).state == "completed"
