"""A disk that fails, is full or can't be written: a named error or a pause, never a lost commit or a step twice."""

from __future__ import annotations

import logging
import math
import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest

from agentflow.engine import Answer, Engine
from agentflow.engine.host import host
from agentflow.errors import StoreError
from agentflow.steps import ForEachField, Workflow, parallel, python, set_, wait_for_input
from agentflow.store import care, open_store
from agentflow.store.sqlite.sql import do

pytestmark = pytest.mark.anyio

LIMIT = 60
ITEMS = 60
SIZE = 200_000
"""Bytes of an item's result: together more than the disk has."""
DISK = 8 << 20

BASE = apsw.vfs_names()[0]

Grow = Callable[[], None]


@contextmanager
def quota(folder: Path) -> Generator[Grow]:
    """Let no file of this process get larger than a limit, as a quota does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 << 20, before[1]))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def small_disk(folder: Path) -> Generator[Grow]:
    """Mount a file system that is too small."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may mount nothing")
    try:
        yield lambda: subprocess.run(["mount", "-o", f"remount,size={DISK * 20}", str(folder)], check=True) and None
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


DISKS = pytest.mark.parametrize("disk", [quota, small_disk])


class Told(logging.Handler):
    """Waits for what the engine logs."""

    def __init__(self) -> None:
        """Nothing yet."""
        super().__init__(logging.ERROR)
        self.lines: list[str] = []
        self.first = anyio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        self.lines.append(record.getMessage())
        self.first.set()


@contextmanager
def listening() -> Generator[Told]:
    """Hear the engine's log."""
    told, log = Told(), logging.getLogger("agentflow")
    log.addHandler(told)
    try:
        yield told
    finally:
        log.removeHandler(told)


@DISKS
async def test_a_run_goes_on_when_a_full_disk_has_room_again(disk: Callable[[Path], object], tmp_path: Path) -> None:
    called = Counter[int]()

    async def big(n: int) -> str:
        called[n] += 1
        return f"{n}:" + "x" * SIZE

    flow = Workflow(
        id="flow",
        steps=(python("load", function="m:big", input={"n": "{item}"}, for_each=ForEachField(in_=list(range(ITEMS)))),),
        max_parallel=4,
        output="done",
    )
    path = tmp_path / "runs.db"
    with disk(tmp_path) as grow, listening() as told:  # type: ignore[attr-defined]
        async with Engine.open(path, workflows=[flow], functions={"m:big": big}, grace=0.0) as engine:
            with anyio.fail_after(LIMIT):
                run = await engine.start("flow")
                await told.first.wait()
                assert (await engine.get(run.id)).state == "working"
                kept = {row.address for row in await engine.steps(run.id) if row.state == "completed"}
                assert 10 < len(kept) < ITEMS
                grow()
                done = await engine.wait(run.id)
            assert (done.state, done.output) == ("completed", "done")
            rows = {row.address: row for row in await engine.steps(run.id)}
            assert sum(row.result is not None and len(row.result) > SIZE for row in rows.values()) == ITEMS
            assert kept <= {address for address, row in rows.items() if row.state == "completed"}
        assert set(called.values()) == {1}
        assert len(called) == ITEMS
        assert all("refused a commit" in line for line in told.lines)
        assert (await care.check(path)).findings == []


@DISKS
async def test_starting_and_answering_on_a_full_disk_fail_by_name_and_work_again_later(
    disk: Callable[[Path], object], tmp_path: Path
) -> None:
    note = {"type": "object", "properties": {"text": {"type": "string"}}}
    flow = Workflow(id="flow", steps=(wait_for_input("ask", message="?", schema=note),))
    big = {"text": "x" * 3_000_000}
    path = tmp_path / "runs.db"
    with disk(tmp_path) as grow:  # type: ignore[attr-defined]
        async with Engine.open(path, workflows=[flow], grace=0.0) as engine:
            with anyio.fail_after(LIMIT):
                first = await engine.start("flow", {"small": 1})
                await engine.wait(first.id)

                async def many() -> None:
                    for _ in range(10):
                        await engine.start("flow", big)

                with pytest.raises(StoreError) as caught:
                    await many()
                assert caught.value.code in ("AF-STORE-FULL", "AF-STORE-IO")
                assert caught.value.hint
                runs = await engine.list()
                wait = (await engine.waits(first.id))[0]
                with pytest.raises(StoreError):
                    await engine.resume(wait.id, Answer(big))
                assert (await engine.waits(first.id))[0].state == "input-required"
                grow()
                assert {run.id for run in await engine.list()} == {run.id for run in runs}
                await engine.resume(wait.id, Answer(big))
                assert (await engine.wait(first.id)).state == "completed"
        assert (await care.check(path)).findings == []


# a disk whose writes or syncs fail


class BadFile(apsw.VFSFile):
    """A file whose log can't be synced while `failing` says so."""

    failing = ""

    def __init__(self, name: object, flags: list[int]) -> None:
        """Open it."""
        super().__init__(BASE, name, flags)  # type: ignore[arg-type]
        self.is_log = bool(flags[0] & apsw.SQLITE_OPEN_WAL)

    def xSync(self, flags: int) -> None:
        """Sync, or fail."""
        if self.is_log and BadFile.failing == "sync":
            raise apsw.IOError("the disk is gone")
        super().xSync(flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        """Write, or fail."""
        if self.is_log and BadFile.failing == "write":
            raise apsw.IOError("the disk is gone")
        base: Any = super()  # its own types name one that type checkers don't know before Python 3.12
        base.xWrite(data, offset)


class BadDisk(apsw.VFS):
    """A disk that fails when it is told to."""

    def __init__(self) -> None:
        """Take the place of the usual one."""
        super().__init__("bad", BASE, makedefault=True)

    def xOpen(self, name: object, flags: list[int]) -> apsw.VFSFile:
        """Open a file."""
        return BadFile(name, flags)


@pytest.fixture
def bad_disk() -> Generator[type[BadFile]]:
    """Put a disk beneath all connections that can be made to fail."""
    disk = BadDisk()
    BadFile.failing = ""
    yield BadFile
    BadFile.failing = ""
    disk.unregister()


@pytest.mark.parametrize("failing", ["sync", "write"])
async def test_a_commit_that_the_disk_refuses_is_done_again_when_it_works(
    bad_disk: type[BadFile], tmp_path: Path, failing: str
) -> None:
    called = Counter[str]()

    async def one() -> str:
        called["one"] += 1
        bad_disk.failing = failing
        return "1"

    async def two() -> str:
        called["two"] += 1
        return "2"

    flow = Workflow(id="flow", steps=(python("a", function="m:one"), python("b", function="m:two")))
    functions = {"m:one": one, "m:two": two}
    with listening() as told:
        async with Engine.open(tmp_path / "runs.db", workflows=[flow], functions=functions, grace=0.0) as engine:
            with anyio.fail_after(LIMIT):
                run = await engine.start("flow")
                await told.first.wait()
                assert called == {"one": 1}, "nothing that depends on it has begun"
                bad_disk.failing = ""
                assert (await engine.wait(run.id)).state == "completed"
        assert called == {"one": 1, "two": 1}


async def test_an_engine_closes_on_a_failing_disk_and_the_next_one_goes_on(
    bad_disk: type[BadFile], tmp_path: Path
) -> None:
    called = Counter[str]()

    async def one() -> str:
        called["one"] += 1
        return "1"

    async def two() -> str:
        called["two"] += 1
        bad_disk.failing = "write" if called["two"] == 1 else ""
        return "2"

    flow = Workflow(id="flow", steps=(python("a", function="m:one"), python("b", function="m:two")))
    functions = {"m:one": one, "m:two": two}
    with anyio.fail_after(LIMIT):
        with listening() as told:
            async with Engine.open(tmp_path / "runs.db", workflows=[flow], functions=functions, grace=0.0) as engine:
                run = await engine.start("flow")
                await told.first.wait()
        bad_disk.failing = ""
        async with Engine.open(tmp_path / "runs.db", workflows=[flow], functions=functions) as engine:
            assert (await engine.wait(run.id)).state == "completed"
    assert called == {"one": 1, "two": 2}


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waited for the store would wait for ever."""
    monkeypatch.setattr(host, "PATIENCE", math.inf)
    monkeypatch.setattr(host, "UNWIND", math.inf)


@pytest.mark.usefixtures("endless")
async def test_an_engine_whose_commits_are_refused_closes_at_once_and_tells_what_is_not_saved(
    bad_disk: type[BadFile], tmp_path: Path
) -> None:
    async def one() -> str:
        bad_disk.failing = "write"
        return "1"

    flow = Workflow(id="flow", steps=(python("a", function="m:one"),))
    with anyio.fail_after(LIMIT), listening() as told:
        async with Engine.open(
            tmp_path / "runs.db", workflows=[flow], functions={"m:one": one}, grace=math.inf
        ) as engine:
            await engine.start("flow")
            await told.first.wait()
    assert engine.host.lost == ["a"]
    assert engine.core.health.refused is not None


async def test_an_engine_whose_store_is_locked_closes_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "PATIENCE", 0.05)
    inside, go = anyio.Event(), anyio.Event()

    async def one() -> str:
        inside.set()
        await go.wait()
        return "1"

    flow = Workflow(id="flow", steps=(python("a", function="m:one"),))
    path = tmp_path / "runs.db"
    with anyio.fail_after(LIMIT):
        async with Engine.open(path, workflows=[flow], functions={"m:one": one}, grace=math.inf) as engine:
            await engine.start("flow")
            await inside.wait()
            locking = apsw.Connection(str(path))
            do(locking, "BEGIN IMMEDIATE")
            go.set()
        locking.close()
        assert engine.host.lost == ["a"]
        async with Engine.open(path, workflows=[flow], functions={"m:one": one}) as engine:
            assert (await engine.wait((await engine.list())[0].id)).state == "completed"


async def test_what_is_left_interrupts_at_once_only_what_may_run_again(tmp_path: Path) -> None:
    begun, ended = Counter[str](), list[str]()
    both, go = anyio.Event(), anyio.Event()

    async def work(name: str) -> str:
        begun[name] += 1
        if len(begun) == 2:
            both.set()
        try:
            await go.wait()
            ended.append(name)
        except BaseException:
            ended.append(f"{name} interrupted")
            go.set()
            raise
        return name

    steps = [
        python(name, function="m:work", input={"name": name}, at_most_once=name == "once") for name in ("again", "once")
    ]
    flow = Workflow(id="flow", steps=(parallel("both", steps=steps),))
    with anyio.fail_after(LIMIT):
        async with Engine.open(
            tmp_path / "runs.db", workflows=[flow], functions={"m:work": work}, grace=math.inf
        ) as engine:
            await engine.start("flow")
            await both.wait()
            engine.host.leave()
    assert ended == ["again interrupted", "once"]


# what can't be written


@contextmanager
def as_nobody(folder: Path) -> Generator[None]:
    """Give up the rights of the superuser, whom no permission stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("what", ["file", "folder"])
@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
async def test_a_store_that_cannot_be_written_is_refused_with_what_helps(what: str) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        path = folder / "runs.db"
        await (await open_store(path)).close()
        os.chmod(path, 0o444)
        os.chmod(folder, 0o777 if what == "file" else 0o555)
        before = path.read_bytes()
        with as_nobody(folder), pytest.raises(StoreError) as caught:
            async with Engine.open(path, workflows=[Workflow(id="flow", steps=(set_("a", value=1),))]) as engine:
                await engine.start("flow")
        assert caught.value.code in ("AF-STORE-READONLY", "AF-STORE-OPEN"), caught.value
        assert str(path) in caught.value.what or str(folder) in caught.value.what
        assert caught.value.hint
        assert path.read_bytes() == before
    finally:
        os.chmod(folder, stat.S_IRWXU)
        shutil.rmtree(folder)
