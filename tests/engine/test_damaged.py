"""A stored result that isn't what was written: never used, named, and left behind by a retry or a cancel."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import apsw
import pytest
from anyio.lowlevel import checkpoint

from agentflow.definition.models import Step, Workflow
from agentflow.engine import Answer, Engine, RetryPlan, Run
from agentflow.errors import StoreError
from agentflow.steps import parallel, processes, saga, script, sequence, set_, wait_for_input
from agentflow.store import care
from agentflow.store.sqlite.sql import do, number
from tests.engine.hands import Fails
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio


def spoil(path: Path, address: str) -> None:
    """Change a stored result behind the store's back; it stays valid JSON."""
    db = apsw.Connection(str(path))
    assert number(db, "SELECT count(*) FROM steps WHERE address = ? AND result IS NOT NULL", (address,)) == 1
    do(db, "UPDATE steps SET result = CAST('\"wrong\"' AS BLOB) WHERE address = ?", (address,))
    db.close()


async def ended(lab: Lab, path: Path, *steps: Step) -> Run:
    async with lab.open(Workflow(id="main", steps=steps), store=path) as engine:
        return (await lab.finish(engine, await engine.start("main"))).run


async def plan(lab: Lab, path: Path, run: Run, start: str | None = None) -> RetryPlan:
    async with lab.open(store=path, host="none") as engine:
        found = await engine.retry(run.id, start, dry_run=True)
    assert isinstance(found, RetryPlan)
    return found


async def retried(lab: Lab, path: Path, run: Run, start: str | None = None) -> object:
    async with lab.open(store=path) as engine:
        new = await engine.retry(run.id, start)
        assert isinstance(new, Run)
        done = await lab.finish(engine, new)
        assert done.state == "completed"
        return done.output


def double(lab: Lab, calls: list[str], name: str, source: str) -> Step:
    def work(n: int) -> int:
        calls.append(name)
        return 2 * n

    return lab.call(name, work, input={"n": source})


async def test_a_retry_of_a_completed_run_begins_with_the_damaged_step(lab: Lab, tmp_path: Path) -> None:
    path, calls = tmp_path / "runs.db", list[str]()
    run = await ended(
        lab, path, set_("a", value=1), double(lab, calls, "b", "{steps.a}"), double(lab, calls, "c", "{steps.b}")
    )
    spoil(path, "b")
    found = await plan(lab, path, run)
    assert (found.kept, found.from_step, found.again, found.damaged) == (["a"], "b", ["b", "c"], ["b"])
    assert await retried(lab, path, run) == 4
    assert calls == ["b", "c", "b", "c"]


async def test_a_retry_of_a_failed_run_repeats_damaged_steps_before_the_failure_too(lab: Lab, tmp_path: Path) -> None:
    path, calls = tmp_path / "runs.db", list[str]()
    run = await ended(
        lab, path,
        set_("a", value=3, execution="parallel"),
        double(lab, calls, "b", "{steps.a}"),
        set_("beside", value=7),
        lab.call("fails", Fails(1, 9)),
    )  # fmt: skip
    spoil(path, "b")
    found = await plan(lab, path, run, "fails")
    assert (found.kept, found.from_step, found.damaged) == (["a"], "fails", ["b"])
    assert await retried(lab, path, run, "fails") == 9


async def test_a_container_with_a_damaged_step_runs_again_and_its_neighbour_is_kept(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    boxes = (
        sequence("one", steps=[set_("x", value=1)], execution="parallel"),
        parallel("two", steps=[set_("y", value=2), set_("z", value=3)], execution="parallel"),
    )
    run = await ended(lab, path, *boxes, set_("end", value="{steps.two.y}"))
    spoil(path, "two/y")
    found = await plan(lab, path, run)
    assert (found.kept, found.damaged, found.again) == (["one"], ["two"], ["two", "end"])
    assert await retried(lab, path, run) == 2


async def test_a_damaged_result_is_left_out_and_named_never_given(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    run = await ended(lab, path, set_("a", value=1), set_("b", value=2))
    spoil(path, "b")
    async with lab.open(store=path, host="none") as engine:
        for refused in (engine.get(run.id), engine.steps(run.id), engine.result(run.id, "b")):
            with pytest.raises(StoreError, match=f"result of step 'b' of run {run.id} is damaged") as caught:
                await refused
            assert caught.value.code == "AF-STORE-DAMAGED"
            assert f"agentflow runs retry {run.id}" in (caught.value.hint or "")
            assert "cancel" not in (caught.value.hint or "")
        assert (await engine.get(run.id, output=False)).output is None
        rows, lost = await engine.store.salvage_steps(run.id)
        assert [(row.address, row.result) for row in rows] == [("a", b"1"), ("b", None)]
        assert lost == {rows[1].n}


async def waiting(lab: Lab, path: Path, *after: Step) -> Run:
    """Leave a run that waits, with a completed step `a` that is then damaged."""
    ask = wait_for_input("ask", message="?", schema={})
    flow = Workflow(id="main", steps=(set_("a", value=1), ask, *after, set_("end", value="{steps.a}")))
    async with lab.open(flow, store=path) as engine:
        run = (await lab.finish(engine, await engine.start("main"))).run
    spoil(path, "a")
    return run


async def test_a_run_in_progress_is_refused_with_what_helps_until_it_is_cancelled_and_retried(
    lab: Lab, tmp_path: Path
) -> None:
    path = tmp_path / "runs.db"
    run = await waiting(lab, path)
    async with lab.open(store=path) as engine:
        with anyio.fail_after(LIMIT):
            wait = (await engine.waits(run.id))[0]
            with pytest.raises(StoreError, match="result of step 'a'") as caught:
                await engine.resume(wait.id, Answer(None))
            assert f"agentflow runs cancel {run.id}, then agentflow runs retry {run.id}" in (caught.value.hint or "")
            assert [row.address for row in (await engine.store.salvage_steps(run.id))[0]] == ["a", "ask"], (
                "nothing goes on"
            )
            canceled = await engine.cancel(run.id)
            assert (canceled.state, canceled.reason) == ("canceled", "run_canceled")
            assert "without its hooks and compensation: The stored result of step 'a'" in (canceled.message or "")
            assert await engine.waits(run.id) == []
            rows, _ = await engine.store.salvage_steps(run.id)
            assert [(row.address, row.state) for row in rows] == [("a", "completed"), ("ask", "canceled")]
            new = await engine.retry(run.id)
            assert isinstance(new, Run)
            await engine.wait(new.id)
            await engine.resume((await engine.waits(new.id))[0].id, Answer(None))
            assert (await engine.wait(new.id)).output == 1
            assert not engine.core.cache.unreadable


async def test_whoever_waits_for_a_run_that_turns_out_damaged_is_told(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    flow = Workflow(id="main", steps=(set_("a", value=1), set_("b", value="{steps.a}")))
    async with lab.open(flow, store=path, host="none") as engine:
        run = await engine.start("main")
    db = apsw.Connection(str(path))
    do(db, "INSERT INTO steps (key, born, address, state, attempt, tries, entry, crashes, hash, result)"
           " SELECT key << 32, 1, 'a', 'completed', 1, 1, 1, 0, 5, CAST('1' AS BLOB) FROM heads")  # fmt: skip
    db.close()
    async with lab.open(store=path) as engine:
        with anyio.fail_after(LIMIT), pytest.raises(StoreError, match="result of step 'a'"):
            await engine.wait(run.id)


async def test_a_cancelled_damaged_saga_undoes_nothing_and_says_so(lab: Lab, tmp_path: Path) -> None:
    path, undone = tmp_path / "runs.db", Fails(0)
    booked = set_("book", value=5, compensate=lab.call("undo", undone))
    trip = saga("trip", steps=[booked, wait_for_input("ask", message="?", schema={})])
    async with lab.open(Workflow(id="main", steps=(trip,)), store=path) as engine:
        run = (await lab.finish(engine, await engine.start("main"))).run
    spoil(path, "trip/book")
    async with lab.open(store=path) as engine:
        with anyio.fail_after(LIMIT):
            canceled = await engine.cancel(run.id)
    assert (canceled.state, undone.calls) == ("canceled", 0)
    assert "without its hooks and compensation" in (canceled.message or "")


async def test_a_damaged_run_of_a_dead_process_is_cancelled(tmp_path: Path, lab: Lab) -> None:
    path = tmp_path / "runs.db"
    run = await waiting(lab, path)
    db = apsw.Connection(str(path))
    do(db, "UPDATE heads SET holder = 'gone', epoch = epoch + 1")
    db.close()
    async with Engine.open(path) as engine:
        with anyio.fail_after(LIMIT):
            await engine.cancel(run.id)
            while not (await engine.get(run.id)).ended:  # noqa: ASYNC110  another look of the host
                await anyio.sleep(0.01)
            assert (await engine.get(run.id)).state == "canceled"


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
async def test_what_a_dead_process_left_running_is_ended_with_its_cancelled_damaged_run(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = list[int]()
    monkeypatch.setattr(processes, "reap", lambda group, *_: groups.append(group))  # type: ignore[misc]
    path, copy = tmp_path / "runs.db", tmp_path / "copy" / "runs.db"
    copy.parent.mkdir()
    flow = Workflow(id="main", steps=(set_("a", value=1), script("long", command="sleep", args=["60"])))
    async with lab.open(flow, store=path) as engine:
        with anyio.fail_after(LIMIT):
            run = await engine.start("main")
            while not any(row.memo and row.address == "long" for row in await engine.steps(run.id)):
                await checkpoint()
            await care.backup(path, copy)
            spoil(copy, "a")
            db = apsw.Connection(str(copy))
            do(db, "UPDATE heads SET holder = 'gone'")
            db.close()
            async with lab.open(store=copy) as other:
                await other.cancel(run.id)
                while not (await other.get(run.id)).ended:
                    await checkpoint()
            assert len(groups) == 1
            os.killpg(groups[0], 0)
