"""Two versions on one store: the older one stops at its next commit with a clear error, the newer one goes on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import anyio
import apsw
import pytest

from agentflow.engine import Engine
from agentflow.errors import StoreError
from agentflow.steps import Workflow, python, wait_for_input
from agentflow.store.sqlite import schema
from agentflow.store.sqlite.file import place
from agentflow.store.sqlite.schema import migrations
from agentflow.store.sqlite.sql import do, number

pytestmark = pytest.mark.anyio

NEXT = "ALTER TABLE heads ADD COLUMN colour TEXT;"
"""What a future version may do."""


def _upgrade(path: Path) -> None:
    """Do what a newer version does when it opens the store."""
    db = apsw.Connection(str(path))
    do(db, "BEGIN IMMEDIATE")
    do(db, NEXT)
    do(db, f"PRAGMA user_version = {len(migrations()) + 1}")
    do(db, "COMMIT")
    db.close()


def _become_newer(patch: pytest.MonkeyPatch) -> None:
    steps = (*migrations(), NEXT)
    patch.setattr(schema, "migrations", lambda: steps)
    for module in (schema, place):
        patch.setattr(module, "latest", lambda: len(steps))


@pytest.mark.parametrize("grace", [0.0, 10.0])
async def test_the_older_version_stops_and_the_newer_one_finishes_its_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grace: float
) -> None:
    path = tmp_path / "runs.db"
    called = Counter[str]()
    started, go = anyio.Event(), anyio.Event()

    async def one() -> str:
        called["one"] += 1
        return "1"

    async def two() -> str:
        called["two"] += 1
        started.set()
        await go.wait()
        return "2"

    flow = Workflow(
        id="flow",
        steps=(python("a", function="m:one"), python("b", function="m:two"), wait_for_input("ask", message="?")),
    )
    functions = {"m:one": one, "m:two": two}
    run_id = ""

    async def older() -> None:
        nonlocal run_id
        async with Engine.open(path, workflows=[flow], functions=functions, grace=grace) as engine:
            run_id = (await engine.start("flow")).id
            await started.wait()
            _upgrade(path)
            go.set()
            await engine.wait(run_id)

    with anyio.fail_after(60):
        with pytest.raises(StoreError) as caught:
            await older()
        assert caught.value.code == "AF-STORE-NEWER"
        assert "Upgrade" in (caught.value.hint or "")
        with pytest.raises(StoreError):
            async with Engine.open(path, workflows=[flow], functions=functions):
                pass
        _become_newer(monkeypatch)
        async with Engine.open(path, workflows=[flow], functions=functions) as engine:
            run = await engine.wait(run_id)
            assert run.state == "input-required"
            rows = {row.address: row for row in await engine.steps(run_id)}
            assert (rows["a"].result, rows["b"].result) == (b'"1"', b'"2"')
    # `a` was committed and isn't repeated; `b` ended after the upgrade, so that it is.
    assert called == {"one": 1, "two": 2}


async def test_a_command_of_the_older_version_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    flow = Workflow(id="flow", steps=(wait_for_input("ask", message="?"),))
    async with Engine.open(path, workflows=[flow]) as engine:
        run = await engine.start("flow")
        await engine.wait(run.id)
    db = apsw.Connection(str(path))
    async with Engine.open(path, host="none") as door:
        _upgrade(path)
        for doing in (door.cancel(run.id), door.pause(run.id), door.publish("topic", 1)):
            with pytest.raises(StoreError) as caught:
                await doing
            assert caught.value.code == "AF-STORE-NEWER"
        assert number(db, "SELECT count(*) FROM inbox") + number(db, "SELECT count(*) FROM published") == 0
    db.close()


async def test_the_newest_version_opens_a_store_while_an_older_one_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    flow = Workflow(id="flow", steps=(wait_for_input("ask", message="?"),))
    async with Engine.open(path, workflows=[flow], host="none") as old:
        await old.start("flow")
        with monkeypatch.context() as patch:
            _become_newer(patch)
            async with Engine.open(path, workflows=[flow]) as new:
                assert [run.workflow for run in await new.list()] == ["flow"]
        assert len(await old.list()) == 1
