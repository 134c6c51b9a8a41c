"""The write-ahead log stays small: our reads keep no snapshot, and after a foreign reader's end it shrinks again."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import apsw
import pytest

from agentflow.engine import Engine
from agentflow.steps import Workflow, set_, wait_for_input
from agentflow.store import open_store
from agentflow.store.contract import Store
from agentflow.store.rows import RunChange
from agentflow.store.sqlite.file import log as guard
from agentflow.store.sqlite.file.place import LOG_KEPT
from agentflow.store.sqlite.locks import readers, users
from agentflow.testing.store_suite.builders import start, step

pytestmark = pytest.mark.anyio

READER = """
import sys
import apsw
db = apsw.Connection(sys.argv[1])
db.execute("BEGIN").fetchall()
db.execute("SELECT count(*) FROM heads").fetchall()
print("reading", flush=True)
sys.stdin.readline()
db.execute("COMMIT").fetchall()
print("done", flush=True)
sys.stdin.read()
"""
BIG = b'"' + b"x" * 100_000 + b'"'


class Reader:
    """Another process in the middle of a long read."""

    def __init__(self, path: Path) -> None:
        """Start it, and return once it reads."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", READER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._expect("reading")

    def _expect(self, line: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{line}\n"

    def end(self) -> None:
        """Let it end its read; it keeps the database open."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self._expect("done")


@contextmanager
def reading(path: Path) -> Generator[Reader]:
    """Let another process read for long."""
    reader = Reader(path)
    try:
        yield reader
    finally:
        reader.process.communicate()


async def _write(store: Store, key: int, count: int, first: int = 0) -> None:
    for n in range(first, first + count):
        await store.commit([RunChange(key, key, 1, steps=[step(key, n, "completed", result=BIG)])])


async def test_a_long_reader_is_named_and_after_its_end_the_log_shrinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(guard, "LARGE", 2 * LOG_KEPT)
    path = tmp_path / "runs.db"
    store = await open_store(path, durability="relaxed")
    key = await start(store, "r1")
    with reading(path) as reader, caplog.at_level(logging.WARNING, "agentflow"):
        await _write(store, key, 200)
        await store.changes().look()
        large = guard.size_of(path)
        assert large > 2 * LOG_KEPT
        told = [record.getMessage() for record in caplog.records]
        assert len(told) == 1
        if sys.platform == "linux":
            assert f"pid {reader.process.pid}" in told[0]
        await store.changes().look()
        assert len(caplog.records) == 1, "it isn't repeated at every look"
        reader.end()
        await _write(store, key, 3, first=200)
        assert guard.size_of(path) <= LOG_KEPT
    await store.close()


async def test_the_log_shrinks_without_another_commit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "runs.db"
    store = await open_store(path, durability="relaxed")
    key = await start(store, "r1")
    with reading(path) as reader:
        await _write(store, key, 100)
        reader.end()
        db = apsw.Connection(str(path))
        guard.checkpointed(db, "PASSIVE")
        db.close()
        assert guard.size_of(path) > LOG_KEPT
        monkeypatch.setattr(guard, "LARGE", LOG_KEPT)
        await store.changes().look()
        assert guard.size_of(path) == 0
    await store.close()


async def test_nothing_that_waits_keeps_a_snapshot(tmp_path: Path) -> None:
    """Subscribers, waiters and lists are between two reads: the whole log can be copied and begun anew."""
    path = tmp_path / "runs.db"
    db: apsw.Connection | None = None
    flow = Workflow(id="flow", steps=(set_("a", values={"x": 1}), wait_for_input("ask", message="?")))
    async with Engine.open(path, workflows=[flow]) as engine:
        run = await engine.start("flow")
        with anyio.fail_after(60):
            await engine.wait(run.id)

            async def follow(seen: anyio.Event) -> None:
                async for event in engine.subscribe(run.id):
                    if event.type == "step_waiting":
                        seen.set()

            async with anyio.create_task_group() as group:
                seen = anyio.Event()
                group.start_soon(follow, seen)
                await seen.wait()
                stopped = engine.subscribe(run.id)
                await anext(stopped)
                await engine.list()
                await engine.waits()
                db = apsw.Connection(str(path))
                assert guard.checkpointed(db, "TRUNCATE")[0] == 0
                assert guard.size_of(path) == 0
                db.close()
                await stopped.aclose()
                group.cancel_scope.cancel()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who holds a file lock")
async def test_users_and_readers_of_a_database_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    assert users(path) == []
    store = await open_store(path)
    with reading(path) as reader:
        assert {user.pid for user in users(path) or ()} >= {reader.process.pid}
        assert [user.pid for user in readers(path) or ()] == [reader.process.pid]
        reader.end()
        assert readers(path) == []
        assert reader.process.pid in {user.pid for user in users(path) or ()}
    await store.close()
    assert users(path) == []
