"""A store on a network file system is refused, with the file system's name and what to do instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentflow.codes import CODES
from agentflow.errors import StoreError
from agentflow.store import care, open_store
from agentflow.store.sqlite.file import mounts
from agentflow.store.sqlite.file.place import InFile

pytestmark = pytest.mark.anyio

TABLE = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
31 22 0:40 / {folder} rw,relatime shared:20 master:3 - {kind} {source} rw,vers=4.2
32 31 0:41 / {folder}/local rw - tmpfs tmpfs rw
"""


def _table(folder: Path, kind: str, source: str = "files:/export") -> str:
    return TABLE.format(folder=str(folder).replace(" ", "\\040"), kind=kind, source=source)


FAR = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "lustre", "afs", "fuse.sshfs", "fuse.rclone")
NEAR = ("ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "virtiofs", "fuse.gocryptfs")


@pytest.mark.parametrize("kind", FAR)
async def test_a_network_file_system_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(_table(tmp_path / "far away", kind), encoding="utf-8")
    path = tmp_path / "far away" / "deep" / "runs.db"
    with pytest.raises(StoreError) as caught:
        await InFile(path, "strict", table).open()
    error = caught.value
    assert error.code == "AF-STORE-NETWORK"
    assert error.code in CODES
    assert error.why == f"{tmp_path / 'far away'} is {kind}, from files:/export."
    assert "--store" in (error.hint or "")
    assert not path.parent.exists(), "nothing was made there"


@pytest.mark.parametrize("kind", NEAR)
def test_other_file_systems_are_fine(tmp_path: Path, kind: str) -> None:
    mount = mounts.mount_of(tmp_path / "runs.db", _table(tmp_path, kind))
    assert mount is not None
    assert mount.kind == kind
    assert not mounts.is_network(mount)


def test_the_innermost_mount_decides(tmp_path: Path) -> None:
    table = _table(tmp_path, "nfs4")
    kinds = {
        place: (mounts.mount_of(tmp_path / place, table) or mounts.Mount("", "", "")).kind
        for place in ("runs.db", "local/runs.db", "localish/runs.db", "../runs.db")
    }
    assert kinds == {"runs.db": "nfs4", "local/runs.db": "tmpfs", "localish/runs.db": "nfs4", "../runs.db": "ext4"}


def test_a_link_is_followed_to_where_the_database_would_be(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to(tmp_path / "far")
    mount = mounts.mount_of(tmp_path / "near" / "runs.db", _table(tmp_path / "far", "cifs"))
    assert mount is not None
    assert mount.kind == "cifs"


def test_a_sandbox_whose_own_disk_is_shared_by_its_host_is_no_network() -> None:
    mount = mounts.mount_of(Path("/home/me/runs.db"), "1 0 0:1 / / rw - 9p none rw\n")
    assert mount is not None
    assert not mounts.is_network(mount)


async def test_where_there_is_no_table_of_mounts_everything_is_taken_for_local(tmp_path: Path) -> None:
    writer, reader = await InFile(tmp_path / "runs.db", "strict", tmp_path / "none").open()
    writer.close()
    reader.close()
    lines = "not a table\n1 2\n - \n22 1 254:0 / / rw\n"
    assert mounts.mount_of(tmp_path, lines) is None


async def test_a_backup_isnt_restored_to_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await (await open_store(tmp_path / "runs.db")).close()
    await care.backup(tmp_path / "runs.db", tmp_path / "backup.db")
    table = tmp_path / "mountinfo"
    table.write_text(_table(tmp_path / "far", "nfs"), encoding="utf-8")
    monkeypatch.setattr(mounts, "TABLE", table)
    with pytest.raises(StoreError) as caught:
        await care.restore(tmp_path / "far" / "runs.db", tmp_path / "backup.db")
    assert caught.value.code == "AF-STORE-NETWORK"
