"""A store in memory: the same code as a file's, alone in its process, and gone with its closing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import apsw
import pytest

from agentflow.definition.models import Workflow
from agentflow.engine import Engine
from agentflow.errors import StoreError
from agentflow.steps import python
from agentflow.store import open_store
from agentflow.store.distri import WorkflowRecords
from agentflow.store.rows import RunChange, RunQuery
from agentflow.store.sqlite import memory
from agentflow.store.sqlite.sql import rows
from agentflow.store.sqlite.store import SqliteStore
from agentflow.testing.faults import doom
from agentflow.testing.store_suite.builders import new_run, start, step, text_id

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened() -> AsyncGenerator[SqliteStore]:
    store = await open_store(":memory:")
    assert isinstance(store, SqliteStore)
    try:
        yield store
    finally:
        await store.close()


def everything(db: apsw.Connection) -> dict[str, list[tuple[object, ...]]]:
    tables = [name for (name,) in rows(db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = {name: rows(db, f"SELECT * FROM {name}") for name in tables}
    assert all(last == 0 for _, last in found.pop("sqlite_sequence"))
    return found


async def test_two_stores_share_nothing() -> None:
    async with opened() as one, opened() as other:
        await start(one, "r1")
        assert len(await one.list_runs(RunQuery())) == 1
        assert await other.list_runs(RunQuery()) == []


async def test_a_store_begins_empty_whatever_was_in_the_ones_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_spare", [])
    place = memory.InMemory()
    db = (await place.open())[0]
    untouched = everything(db)
    place.close(db, db)
    for _ in range(2):
        async with opened() as store:
            root = await start(store, "r1", labels={"a": "b"}, idempotency_key="the one")
            await store.commit([RunChange(root, root, 1, steps=[step(root, 0, result=b"1")])], {"digest": b"{}"})
            await store.request(text_id("r1"), "cancel", None)
            await store.publish("topic", {"a": 1}, "once", 1.0)
        again = (await place.open())[0]
        assert again is db
        assert everything(again) == untouched
        place.close(again, again)


async def test_a_closed_store_doesnt_show_what_another_one_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_spare", [])
    async with opened() as closed:
        pass
    async with opened() as other:
        await start(other, "r1")
        with pytest.raises(StoreError):
            await closed.list_runs(RunQuery())


async def test_a_large_store_leaves_its_memory_when_it_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    spare: list[apsw.Connection] = []
    monkeypatch.setattr(memory, "_spare", spare)
    async with opened() as store:
        await WorkflowRecords(store).create_run(new_run("r1", input=b'"%s"' % (b"x" * (8 << 20))))
    assert spare == []
    async with opened() as store:
        await WorkflowRecords(store).create_run(new_run("r1"))
    assert len(spare) == 1


async def test_no_commit_waits_however_large_it_is() -> None:
    async with opened() as store:
        root = await start(store, "r1")
        coroutine = store.commit([RunChange(root, root, 1, steps=[step(root, n) for n in range(500)])])
        with pytest.raises(StopIteration):
            coroutine.send(None)
        assert len(await store.list_steps(text_id("r1"))) == 500


async def test_it_is_nobody_elses_and_is_never_changed_by_others() -> None:
    async with opened() as store:
        await start(store, "r1")
        assert not store.shared
        assert not await store.changes().look()


async def test_its_hosts_live_until_they_leave_and_other_processes_are_nobodys_matter() -> None:
    async with opened() as store:
        await store.liveness.join("one")
        assert await store.liveness.dead(["one", "never was"]) == {"never was"}
        await store.liveness.leave()
        assert await store.liveness.dead(["one"]) == {"one"}
        assert await store.liveness.living() is None


async def test_what_a_host_that_died_has_left_goes_on_with_the_next_one_on_it() -> None:
    gate = anyio.Event()
    flow = Workflow(id="flow", steps=(python("a", function="m:work"),))

    async def work() -> str:
        await gate.wait()
        return "done"

    async with opened() as store:
        async with Engine.open(store, workflows=[flow], functions={"m:work": work}, grace=0.0) as engine:
            run = await engine.start("flow")
            await anyio.wait_all_tasks_blocked()
            doom(engine)
        gate.set()
        async with Engine.open(store, workflows=[flow], functions={"m:work": work}, grace=0.0) as engine:
            with anyio.fail_after(60):
                assert (await engine.wait(run.id)).output == "done"
