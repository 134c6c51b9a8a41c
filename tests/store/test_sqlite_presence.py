"""A store whose files are taken away while it is open says so: nothing counts as saved that nobody can open."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from agentflow.codes import CODES
from agentflow.engine import Engine
from agentflow.errors import StoreError
from agentflow.steps import Workflow, delay, python
from agentflow.store import care, open_store
from agentflow.store.rows import RunChange
from agentflow.testing.store_suite.builders import note, start

pytestmark = pytest.mark.anyio


def _delete(path: Path) -> None:
    for file in path.parent.glob("runs.db*"):
        file.unlink()


def _move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def _replace(path: Path) -> None:
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    copy.replace(path)


def _lose_the_log(path: Path) -> None:
    path.with_name("runs.db-wal").unlink()


TAKEN = pytest.mark.parametrize("take", [_delete, _move, _replace, _lose_the_log])


@TAKEN
async def test_a_commit_to_files_that_were_taken_away_fails(tmp_path: Path, take: Callable[[Path], None]) -> None:
    path = tmp_path / "runs.db"
    store = await open_store(path)
    key = await start(store, "r1")
    changes = store.changes()
    take(path)
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            await store.commit([RunChange(key, key, 1, events=[note("x")], release=True)])
        assert caught.value.code == "AF-STORE-GONE"
        assert caught.value.code in CODES
        assert str(path) in caught.value.what
    with pytest.raises(StoreError):
        await changes.look()
    await store.close()


@TAKEN
async def test_one_of_many_commits_that_nobody_is_told_of_fails_soon(
    tmp_path: Path, take: Callable[[Path], None]
) -> None:
    path = tmp_path / "runs.db"
    store = await open_store(path)
    key = await start(store, "r1")
    take(path)

    async def commit_on_and_on() -> None:
        while True:
            await store.commit([RunChange(key, key, 1, events=[note("x")])])

    with anyio.fail_after(60), pytest.raises(StoreError) as caught:
        await commit_on_and_on()
    assert caught.value.code == "AF-STORE-GONE"
    await store.close()


@TAKEN
async def test_a_host_whose_store_was_taken_away_ends_and_reports_nothing_as_done(
    tmp_path: Path, take: Callable[[Path], None]
) -> None:
    path, inside, go = tmp_path / "runs.db", anyio.Event(), anyio.Event()

    async def work() -> str:
        inside.set()
        await go.wait()
        return "done"

    flow = Workflow(id="flow", steps=(python("a", function="m:work"),))
    ended: list[object] = []

    async def host() -> None:
        async with Engine.open(path, workflows=[flow], functions={"m:work": work}, grace=0.0) as engine:
            run = await engine.start("flow")
            await inside.wait()
            take(path)
            go.set()
            ended.append(await engine.wait(run.id))

    with anyio.fail_after(60):
        with pytest.raises(StoreError) as caught:
            await host()
    assert (caught.value.code, ended) == ("AF-STORE-GONE", [])


async def test_a_host_that_only_waits_notices_it_too(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"

    async def host() -> None:
        async with Engine.open(path, workflows=[Workflow(id="flow", steps=(delay("nap", for_="1h"),))]) as engine:
            run = await engine.start("flow")
            _delete(path)
            engine.host.look()
            await engine.wait(run.id)

    with anyio.fail_after(60):
        with pytest.raises(StoreError) as caught:
            await host()
    assert caught.value.code == "AF-STORE-GONE"


async def test_a_step_may_go_to_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = await open_store("runs.db")
    monkeypatch.chdir("/")
    await start(store, "r1")
    monkeypatch.chdir(tmp_path)
    await store.close()


async def test_a_log_that_was_removed_after_a_kill_is_told_and_the_rest_can_be_had(tmp_path: Path) -> None:
    """The index of the log is left when a process is killed; who closes a database removes both."""
    path = tmp_path / "runs.db"
    await (await open_store(path)).close()
    path.with_name("runs.db-shm").touch()
    with pytest.raises(StoreError, match="log") as caught:
        await open_store(path)
    assert caught.value.code == "AF-STORE-DAMAGED"
    assert "removed" in (caught.value.why or "")
    report = await care.check(path)
    assert [finding.message for finding in report.findings if "removed" in finding.message]
    await care.vacuum(path, full=True)
    await (await open_store(path)).close()
