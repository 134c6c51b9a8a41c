"""Several processes on one file, one of them killed: nobody starves, nothing is lost, numbers have no gaps."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import apsw
import pytest

from agentflow.store import open_store
from agentflow.store.sqlite.sql import rows
from agentflow.testing.store_suite.builders import start, text_id

pytestmark = pytest.mark.anyio

WRITER = """
import sys, anyio
from agentflow.store import open_store
from agentflow.store.rows import (
    RunChange,
)
from agentflow.testing.store_suite.builders import bump, note, start

async def main(path, name, count):
    store = await open_store(path)
    print("open", flush=True)
    sys.stdin.readline()
    own = await start(store, name, holder=name)
    for n in range(count):
        changes = [RunChange(run, run, 1, events=[bump("a"), note("b")]) for run in (1, own)]
        refused = await store.commit(changes)
        assert not refused, refused
        print(n, flush=True)
    await store.close()

anyio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
"""


def _writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    if process.stdout.readline() != "open\n":
        pytest.fail(process.stderr.read())


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


async def test_three_processes_write_one_store_and_a_killed_one_loses_nothing_that_it_was_told(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = await open_store(path)
    assert await start(store, "shared") == 1
    processes = [_writer(path, name, count) for name, count in (("p1", 40), ("p2", 40), ("p3", 100_000))]
    try:
        with anyio.fail_after(60):
            for process in processes:
                await anyio.to_thread.run_sync(_ready, process)
            for process in processes:
                _go(process)
            outputs = [await anyio.to_thread.run_sync(process.communicate) for process in processes[:2]]
            processes[2].send_signal(signal.SIGKILL)
            killed, _ = await anyio.to_thread.run_sync(processes[2].communicate)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [process.returncode for process in processes[:2]] == [0, 0], outputs
    told = len(killed.split())
    runs = {name: await store.get_run(text_id(name)) for name in ("shared", "p1", "p2", "p3")}
    counts = {name: run.seq for name, run in runs.items() if run}
    assert (counts["p1"], counts["p2"]) == (81, 81)
    assert counts["p3"] in (1 + 2 * told, 3 + 2 * told)
    assert counts["shared"] == sum(counts[name] - 1 for name in ("p1", "p2", "p3")) + 1
    for name, run in runs.items():
        assert run is not None
        events = await store.events(run.id, limit=1_000_000)
        assert [event.seq for event in events] == list(range(1, counts[name] + 1))
        generations = [event.generation for event in events if event.generation is not None]
        assert generations == list(range(1, run.generation + 1))
    assert len({run.run for run in runs.values() if run}) == 4
    await store.close()
    db = apsw.Connection(str(path))
    assert rows(db, "PRAGMA integrity_check") == [("ok",)]
    db.close()


async def test_processes_that_open_a_new_store_at_once_make_it_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "runs.db"
    processes = [_writer(path, f"p{n}", 0) for n in range(4)]
    try:
        with anyio.fail_after(60):
            for process in processes:
                await anyio.to_thread.run_sync(_ready, process)
                _go(process)
            outputs = [await anyio.to_thread.run_sync(process.communicate) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0, 0], outputs
    store = await open_store(path)
    runs = [await store.get_run(text_id(f"p{n}")) for n in range(4)]
    assert len({run.run for run in runs if run}) == 4
    await store.close()
