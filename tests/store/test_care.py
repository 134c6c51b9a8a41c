"""Backups of a store in use, putting them back, giving space back: nothing is lost, nobody is held up for long."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest

from agentflow.errors import StoreError
from agentflow.store import care, open_store
from agentflow.store.contract import Store
from agentflow.store.rows import RunChange, RunQuery
from agentflow.store.sqlite.care import compact, copying
from agentflow.store.sqlite.file.place import InFile
from agentflow.store.sqlite.schema import migrations
from agentflow.store.sqlite.sql import do, number, rows
from agentflow.store.views import PurgeQuery
from agentflow.testing.store_suite.builders import OVER, ending, note, start, step, text_id

pytestmark = pytest.mark.anyio

OTHER = """
import sys
import apsw
db = apsw.Connection(sys.argv[1])
db.execute("BEGIN").fetchall()
db.execute("SELECT count(*) FROM heads").fetchall()
print("open", flush=True)
sys.stdin.read()
"""


def _other(path: Path) -> subprocess.Popen[str]:
    """Let another process have the store open, in the middle of a long read; it ends when its stdin is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


async def _filled(path: Path, runs: int = 3, steps: int = 40) -> Store:
    store = await open_store(path, durability="relaxed")
    for n in range(runs):
        key = await start(store, f"r{n}")
        done = [step(key, i, "completed", result=b'"' + b"x" * 1000 + b'"') for i in range(steps)]
        await store.commit([RunChange(key, key, 1, steps=done)])
        await store.commit([ending(key, key, at=150.0 + n)])
    return store


async def _refused(code: str, awaitable: Any) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await awaitable
    assert caught.value.code == code, caught.value
    assert caught.value.hint
    return caught.value


async def _runs(path: Path) -> list[str]:
    store = await open_store(path)
    found = [run.id.lstrip("0") for run in await store.list_runs(RunQuery())]
    await store.close()
    return sorted(found)


# backup


async def test_a_backup_is_one_file_that_is_a_store(tmp_path: Path) -> None:
    store = await _filled(tmp_path / "runs.db")
    target = tmp_path / "backup.db"
    report = await care.backup(tmp_path / "runs.db", target)
    assert (report.runs, report.steps, report.results, report.findings) == (3, 120, 120, [])
    assert report.path == str(target)
    await store.close()
    assert sorted(os.listdir(tmp_path)) == ["backup.db", "runs.db"]
    assert await _runs(target) == ["r0", "r1", "r2"]


async def test_a_backup_under_constant_writes_holds_whole_transactions_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PAGES", 4)
    path, target = tmp_path / "runs.db", tmp_path / "backup.db"
    store = await _filled(path)
    keys = [await start(store, name) for name in ("left", "right")]
    writing = anyio.Event()

    async def write() -> None:
        while True:
            # One transaction for both: a copy with one half of it would show different numbers.
            await store.commit([RunChange(key, key, 1, events=[note("tick")]) for key in keys])
            writing.set()
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(write)
            await writing.wait()
            await care.backup(path, target)
            group.cancel_scope.cancel()
    before = [run.seq for name in ("left", "right") if (run := await store.get_run(text_id(name)))]
    await store.close()
    copy = await open_store(target)
    seqs = [run.seq for name in ("left", "right") if (run := await copy.get_run(text_id(name)))]
    await copy.close()
    assert seqs[0] == seqs[1] > 1
    assert before[0] == before[1] >= seqs[0]


async def test_a_backup_never_replaces_a_file_unasked_nor_by_a_damaged_copy(tmp_path: Path) -> None:
    path, target = tmp_path / "runs.db", tmp_path / "backup.db"
    await (await _filled(path)).close()
    await care.backup(path, target)
    before = target.read_bytes()
    await _refused("AF-STORE-EXISTS", care.backup(path, target))
    await _refused("AF-STORE-EXISTS", care.backup(path, path, replace=True))
    await _refused("AF-STORE-EXISTS", care.backup(path, tmp_path, replace=True))
    await _refused("AF-STORE-OPEN", care.backup(path, tmp_path / "nowhere" / "b.db"))
    await _refused("AF-STORE-MISSING", care.backup(tmp_path / "none.db", target, replace=True))
    await _refused("AF-STORE-KIND", care.backup(":memory:", target))
    with apsw.Connection(str(path)) as db:
        do(db, "UPDATE steps SET result = CAST('\"y\"' AS BLOB) WHERE address = 'step7'")
    db.close()
    error = await _refused("AF-STORE-DAMAGED", care.backup(path, target, replace=True))
    assert error.data["findings"][0]["step"] == "step7"
    assert error.data["copy"] == str(target) + ".damaged"
    assert target.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["backup.db", "backup.db.damaged", "runs.db"]


async def test_a_damaged_store_is_copied_as_it_is_and_put_back_only_when_that_is_asked_for(tmp_path: Path) -> None:
    path, target = tmp_path / "runs.db", tmp_path / "backup.db"
    await (await _filled(path)).close()
    with apsw.Connection(str(path)) as db:
        do(db, "UPDATE steps SET result = CAST('\"y\"' AS BLOB) WHERE address = 'step7'")
    db.close()
    error = await _refused("AF-STORE-DAMAGED", care.backup(path, target))
    assert [(finding["run"], finding["step"]) for finding in error.data["findings"]] == [
        (text_id(f"r{n}"), "step7") for n in range(3)
    ]
    assert f"run {text_id('r2')}, step step7: Its stored result is damaged." in (error.why or "")
    assert f"Everything was copied as it is, the damage too: {target}" in (error.why or "")
    copied = await care.check(target)
    assert (copied.runs, copied.steps, len(copied.findings)) == (3, 120, 3)
    error = await _refused("AF-STORE-DAMAGED", care.restore(tmp_path / "new.db", target))
    assert "--damaged" in (error.hint or "")
    assert (await care.restore(tmp_path / "new.db", target, damaged=True)).runs == 3
    store = await open_store(tmp_path / "new.db")
    with pytest.raises(StoreError, match="step7"):
        await store.list_steps(text_id("r1"))
    await store.close()


async def test_a_backup_that_is_broken_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "PAGES", 1)
    store = await _filled(tmp_path / "runs.db")
    with anyio.CancelScope() as scope:
        await care.backup(tmp_path / "runs.db", tmp_path / "b.db", progress=lambda done, total: scope.cancel())
    assert scope.cancelled_caught
    await store.close()
    assert os.listdir(tmp_path) == ["runs.db"]


# restore


async def test_a_restored_store_is_as_it_was_and_what_was_there_is_kept(tmp_path: Path) -> None:
    path, target = tmp_path / "runs.db", tmp_path / "backup.db"
    store = await _filled(path)
    await care.backup(path, target)
    await start(store, "later")
    await store.close()
    await _refused("AF-STORE-EXISTS", care.restore(path, target))
    done = await care.restore(path, target, replace=True)
    assert done.runs == 3
    assert await _runs(path) == ["r0", "r1", "r2"]
    assert done.kept is not None
    assert await _runs(Path(done.kept)) == ["later", "r0", "r1", "r2"]
    again = await care.restore(path, Path(done.kept), replace=True)
    assert await _runs(path) == ["later", "r0", "r1", "r2"]
    assert again.kept != done.kept


async def test_restoring_to_a_new_place_makes_it(tmp_path: Path) -> None:
    path, target = tmp_path / "runs.db", tmp_path / "backup.db"
    await (await _filled(path)).close()
    await care.backup(path, target)
    done = await care.restore(f"sqlite:///{tmp_path}/new/runs.db", target)
    assert (done.runs, done.kept) == (3, None)
    assert await _runs(tmp_path / "new" / "runs.db") == ["r0", "r1", "r2"]


async def test_a_store_in_use_is_neither_replaced_nor_rebuilt_and_its_users_are_named(tmp_path: Path) -> None:
    path, target = tmp_path / "runs.db", tmp_path / "backup.db"
    await (await _filled(path)).close()
    await care.backup(path, target)
    other = _other(path)
    try:
        for doing in (care.restore(path, target, replace=True), care.vacuum(path, full=True)):
            error = await _refused("AF-STORE-IN-USE", doing)
            if sys.platform == "linux":
                assert f"pid {other.pid}" in (error.why or "")
    finally:
        other.communicate()
    assert await _runs(path) == ["r0", "r1", "r2"]
    await care.restore(path, target, replace=True)


async def test_what_is_no_good_backup_is_never_put_in_place(tmp_path: Path) -> None:
    path, target = tmp_path / "runs.db", tmp_path / "backup.db"
    await (await _filled(path)).close()
    before = path.read_bytes()
    await _refused("AF-STORE-MISSING", care.restore(path, target, replace=True))
    await _refused("AF-STORE-EXISTS", care.restore(path, path, replace=True))
    target.write_text("dear diary, " * 1000, encoding="utf-8")
    await _refused("AF-STORE-FORMAT", care.restore(path, target, replace=True))
    target.unlink()
    await care.backup(path, target)
    raw = bytearray(target.read_bytes())
    at = raw.rindex(b"x" * 400)
    raw[at : at + 5] = b"spoil"
    target.write_bytes(raw)
    error = await _refused("AF-STORE-DAMAGED", care.restore(path, target, replace=True))
    assert "result" in error.what
    db = apsw.Connection(str(target))
    do(db, f"PRAGMA user_version = {len(migrations()) + 1}")
    db.close()
    await _refused("AF-STORE-NEWER", care.restore(path, target, replace=True))
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["backup.db", "runs.db"]


async def test_a_store_that_cannot_be_read_is_replaced_and_kept_as_it_is(tmp_path: Path) -> None:
    path, target = tmp_path / "runs.db", tmp_path / "backup.db"
    await (await _filled(path)).close()
    await care.backup(path, target)
    garbage = os.urandom(20_000)
    path.write_bytes(garbage)
    await _refused("AF-STORE-EXISTS", care.restore(path, target))
    done = await care.restore(path, target, replace=True)
    assert await _runs(path) == ["r0", "r1", "r2"]
    assert done.kept is not None
    with open(done.kept, "rb") as kept:  # noqa: ASYNC230  a test
        assert kept.read() == garbage


# space


async def test_purged_space_is_given_back_in_small_steps_while_others_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "PAGES", 5)
    path = tmp_path / "runs.db"
    store = await _filled(path, runs=6)
    key = await start(store, "live")
    await store.purge(PurgeQuery(1000.0, 0.0, OVER))
    told: list[tuple[int, int]] = []
    counts: list[int] = []
    freed = 0

    async def write() -> None:
        while True:
            await store.commit([RunChange(key, key, 1, events=[note("tick")])])
            counts.append(len(told))
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(write)
            freed = await care.vacuum(path, progress=lambda done, total: told.append((done, total)))
            group.cancel_scope.cancel()
    assert len(told) > 5
    assert len(set(counts)) > 3, "commits went between the steps"
    assert freed > 100_000
    events = await store.events(text_id("live"), limit=100_000)
    assert len(events) == len(counts) + 1
    await store.close()
    report = await care.check(path)
    assert (report.runs, report.free, report.findings) == (1, 0, [])


async def test_a_store_of_an_older_layout_is_written_anew_once(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    await (await _filled(path)).close()
    db = apsw.Connection(str(path))
    rows(db, "PRAGMA auto_vacuum=NONE")
    rows(db, "VACUUM")
    db.close()
    error = await _refused("AF-STORE-FAILED", care.vacuum(path))
    assert "--full" in (error.hint or "")
    await care.vacuum(path, full=True)
    assert await care.vacuum(path) == 0
    assert await _runs(path) == ["r0", "r1", "r2"]


async def test_purging_a_large_run_goes_in_transactions_of_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentflow.store.sqlite.purging._ROOM", 60)
    path = tmp_path / "runs.db"
    store = await _filled(path, runs=3, steps=300)
    other = await _filled(tmp_path / "other.db", runs=1)
    sizes: list[int] = []
    db = (await InFile(path, "relaxed").open())[1]

    async def count() -> None:
        while True:
            sizes.append(number(db, "SELECT count(*) FROM steps"))
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(count)
        await anyio.lowlevel.checkpoint()
        assert await store.purge(PurgeQuery(152.0, 0.0, OVER)) == 2
        group.cancel_scope.cancel()
    assert max(a - b for a, b in pairwise(sizes)) <= 60
    assert (sizes[0], number(db, "SELECT count(*) FROM steps")) == (900, 300)
    db.close()
    for each in (store, other):
        await each.close()
    assert await _runs(path) == ["r2"]
    assert (await care.check(path)).findings == []
