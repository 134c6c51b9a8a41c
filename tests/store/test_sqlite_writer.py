"""One transaction at a time, in turn; a slow disk's COMMIT in a thread; what fails is rolled back."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.to_thread
import apsw
import pytest

from agentflow.errors import StoreError
from agentflow.store import open_store
from agentflow.store.sqlite.file.place import InFile
from agentflow.store.sqlite.sql import do, rows
from agentflow.store.sqlite.store import SqliteStore
from agentflow.store.sqlite.writer import Writer
from agentflow.testing.store_suite.builders import start

pytestmark = pytest.mark.anyio


class SlowWriter(Writer):
    """Its disk is slow: a COMMIT ends when the test lets it."""

    go = threading.Event()
    started = threading.Event()
    threads: tuple[int, ...] = ()

    def _commit_now(self) -> float:
        self.threads = (*self.threads, threading.get_ident())
        if len(self.threads) > 1:
            self.started.set()
            assert self.go.wait(60)
        super()._commit_now()
        return 1.0


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[apsw.Connection]:
    """Open a store's writer connection with a table to write to."""
    writer, reader = await InFile(tmp_path / "runs.db", "strict").open()
    reader.close()
    do(writer, "CREATE TABLE notes (n INTEGER)")
    yield writer
    writer.close()


@pytest.fixture
async def slow(database: apsw.Connection, tmp_path: Path) -> SlowWriter:
    """A writer that has just noticed that its disk is slow."""
    writer = SlowWriter(database, InFile(tmp_path / "runs.db", "strict"))
    writer.go = threading.Event()
    writer.started = threading.Event()
    await writer.transact(_note(database), 0)
    return writer


class _Notes:
    def __init__(self, db: apsw.Connection) -> None:
        self.db = db

    def __call__(self, n: int) -> int:
        do(self.db, "INSERT INTO notes VALUES (?)", (n,))
        return n


def _note(db: apsw.Connection) -> _Notes:
    return _Notes(db)


def _kept(path: Path) -> list[int]:
    db = apsw.Connection(str(path))
    found = [row[0] for row in rows(db, "SELECT n FROM notes ORDER BY rowid")]
    db.close()
    return found


async def test_a_fast_disks_commit_needs_no_thread_and_no_turn(database: apsw.Connection, tmp_path: Path) -> None:
    writer = Writer(database, InFile(tmp_path / "runs.db", "strict"))
    coroutine = writer.transact(_note(database), 1)
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    assert done.value.value == 1
    assert _kept(tmp_path / "runs.db") == [1]


async def test_a_slow_disk_never_blocks_the_loop_and_commits_keep_their_order(slow: SlowWriter, tmp_path: Path) -> None:
    results: list[int] = []

    async def one(n: int) -> None:
        results.append(await slow.transact(_note(slow.db), n))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for n in range(1, 4):
                group.start_soon(one, n)
            await anyio.to_thread.run_sync(slow.started.wait)
            # The loop is free while the disk works, readers see what is durable, and nobody knows of its success yet.
            assert _kept(tmp_path / "runs.db") == [0]
            assert results == []
            assert not slow.idle
            slow.go.set()
    assert results == [1, 2, 3]
    assert _kept(tmp_path / "runs.db") == [0, 1, 2, 3]
    assert slow.threads[0] == threading.get_ident()
    assert threading.get_ident() not in slow.threads[1:]


async def test_what_waits_is_copied_first(slow: SlowWriter, tmp_path: Path) -> None:
    values = [2]

    def work(given: list[int]) -> None:
        for n in given:
            do(slow.db, "INSERT INTO notes VALUES (?)", (n,))

    async def waits() -> None:
        await slow.transact(work, values, list)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(slow.transact, _note(slow.db), 1)
            await anyio.to_thread.run_sync(slow.started.wait)
            group.start_soon(waits)
            await anyio.lowlevel.checkpoint()
            values.append(3)
            slow.go.set()
    assert _kept(tmp_path / "runs.db") == [0, 1, 2]


async def test_a_cancelled_commit_is_finished_and_a_cancelled_turn_is_given_on(
    slow: SlowWriter, tmp_path: Path
) -> None:
    scopes = {n: anyio.CancelScope() for n in (1, 2)}

    async def one(n: int) -> None:
        with scopes.get(n, anyio.CancelScope()):
            await slow.transact(_note(slow.db), n)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for n in (1, 2, 3):
                group.start_soon(one, n)
            await anyio.to_thread.run_sync(slow.started.wait)
            for scope in scopes.values():
                scope.cancel()
            await anyio.lowlevel.checkpoint()
            slow.go.set()
    assert _kept(tmp_path / "runs.db") == [0, 1, 3]
    assert slow.idle


async def test_work_that_fails_is_rolled_back_and_the_next_one_goes_on(
    database: apsw.Connection, tmp_path: Path
) -> None:
    writer = Writer(database, InFile(tmp_path / "runs.db", "strict"))

    def breaks(n: int) -> None:
        do(database, "INSERT INTO notes VALUES (?)", (n,))
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await writer.transact(breaks, 1)
    with pytest.raises(StoreError):
        await writer.transact(lambda _: do(database, "INSERT INTO nowhere VALUES (1)"), None)
    assert writer.idle
    await writer.transact(_note(database), 2)
    assert _kept(tmp_path / "runs.db") == [2]


async def test_a_lock_of_another_process_is_waited_for_while_the_loop_goes_on(
    database: apsw.Connection, tmp_path: Path
) -> None:
    writer = Writer(database, InFile(tmp_path / "runs.db", "strict"))
    other = apsw.Connection(str(tmp_path / "runs.db"))
    do(other, "BEGIN IMMEDIATE")
    done: list[int] = []

    async def one(n: int) -> None:
        done.append(await writer.transact(_note(database), n))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for n in (1, 2):
                group.start_soon(one, n)
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            assert done == []
            assert not writer.idle
            do(other, "COMMIT")
    other.close()
    assert done == [1, 2]


async def test_ending_waits_for_what_is_under_way(slow: SlowWriter, tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(slow.transact, _note(slow.db), 1)
            await anyio.to_thread.run_sync(slow.started.wait)
            group.start_soon(slow.end)
            await anyio.lowlevel.checkpoint()
            slow.go.set()
    assert _kept(tmp_path / "runs.db") == [0, 1]


async def test_keys_are_each_given_once_to_many_who_ask_while_commits_are_slow(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "runs.db")
    assert isinstance(store, SqliteStore)
    store._database.writer._cost = 1.0  # pyright: ignore[reportPrivateUsage]  a slow disk
    keys = set[int]()

    async def one(n: int) -> None:
        keys.update(await store.new_keys(50))
        keys.add(await start(store, f"r{n}"))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for n in range(100, 120):
                group.start_soon(one, n)
    assert len(keys) == 20 * 51
    await store.close()
