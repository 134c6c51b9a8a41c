"""Lock files of hosts: those of killed ones go away, and sweeping them never takes a living one's."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from agentflow.engine import Engine
from agentflow.errors import StoreError
from agentflow.store import places
from agentflow.store.sqlite.file import liveness
from agentflow.store.sqlite.file.liveness import FileLiveness

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks"),
]


async def joined(folder: Path, name: str) -> FileLiveness:
    """Return a host that lives."""
    host = FileLiveness(folder)
    await host.join(name)
    return host


async def test_files_of_killed_hosts_are_gone_after_the_next_start_and_those_of_living_ones_stay(
    tmp_path: Path,
) -> None:
    one = await joined(tmp_path, "one")
    for name in ("killed.lock", "killed.sock", "killed-long-ago.sock"):
        (one.folder / name).touch()
    (one.folder / "one.sock").touch()
    two = await joined(tmp_path, "two")
    assert {path.name for path in one.folder.iterdir()} == {"one.lock", "one.sock", "two.lock"}
    assert await FileLiveness(tmp_path).living() == {"one", "two"}
    assert await two.dead(["one", "killed"]) == {"killed"}
    await one.leave()
    await two.leave()
    assert list(one.folder.iterdir()) == []


async def test_a_lock_that_is_swept_between_its_making_and_its_locking_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is there and nobody has locked it yet: just then another host sweeps."""
    import fcntl  # noqa: PLC0415  not on Windows

    other = await joined(tmp_path, "other")
    lock, swept = fcntl.flock, list[str]()

    def flock(file: int, how: int) -> None:
        if how == fcntl.LOCK_EX and not swept:
            swept.append("now")
            other.sweep()
            assert not (other.folder / "new.lock").exists()
        lock(file, how)

    monkeypatch.setattr(liveness.fcntl, "flock", flock)
    new = await joined(tmp_path, "new")
    assert swept == ["now"]
    assert await other.dead(["new"]) == set()
    assert await FileLiveness(tmp_path).living() == {"new", "other"}
    await new.leave()
    await other.leave()


async def test_while_one_sweeps_another_does_not(tmp_path: Path) -> None:
    import fcntl  # noqa: PLC0415  not on Windows

    one = await joined(tmp_path, "one")
    killed = one.folder / "killed.lock"
    killed.touch()
    folder = os.open(one.folder, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    one.sweep()
    assert killed.exists()
    os.close(folder)
    one.sweep()
    assert not killed.exists()
    await one.leave()


async def test_a_full_disk_leaves_the_lock_without_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(liveness.os, "write", full)
    one = await joined(tmp_path, "one")
    assert await FileLiveness(tmp_path).living() == {"one"}
    await one.leave()


async def test_where_nobody_can_tell_who_lives_nothing_starts_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "SUPPORTED", False)
    with pytest.raises(StoreError, match="Windows") as caught:
        async with Engine.open(tmp_path / "runs.db"):
            pass
    assert caught.value.code == "AF-PLATFORM"
    assert os.listdir(tmp_path) == []
