"""On which file system a database stands: over a network its write-ahead log can't work, and would damage it.

The processes that share a log coordinate by memory that they map from a file. On network file systems that memory isn't
shared by the machines, and file locks are often only pretended.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from agentflow.errors import StoreError

TABLE = Path("/proc/self/mountinfo")
NETWORK = frozenset(
    {
        "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs", "kafs", "lustre",
        "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "smb2", "smb3", "smbfs", "vboxsf", "wekafs",
    }
)  # fmt: skip
"""File systems whose files other machines may change."""
NETWORK_FUSE = frozenset(
    {
        "beegfs", "ceph", "ceph-fuse", "cephfs", "davfs2", "gcsfuse", "glusterfs", "goofys", "httpfs",
        "juicefs", "mfs", "moosefs", "mountpoint-s3", "nfs", "rclone", "s3fs", "s3ql", "seaweedfs", "smbnetfs", "sshfs",
        "vmhgfs-fuse",
    }
)  # fmt: skip
"""The same behind `fuse.`: whatever else is there, such as an encrypted folder, is as good as what lies below it."""
_OWN = frozenset({"9p"})
"""Kinds that are fine as the root: that is how some sandboxes give a machine the disk of its own."""


class Mount(NamedTuple):
    """A mounted file system."""

    point: str
    kind: str
    source: str


def mount_of(path: Path, table: str) -> Mount | None:
    """Return the file system that a path is on, given a table in the form of `/proc/self/mountinfo`."""
    place = Path(os.path.realpath(path))  # unlike `resolve`, it has nothing against links that lead in circles
    best: Mount | None = None
    for line in table.splitlines():
        fields, found, rest = line.partition(" - ")
        before, after = fields.split(" "), rest.split(" ")
        if not found or len(before) < 5 or len(after) < 2:
            continue
        point = _plain(before[4])
        # The last of those that cover a place is the one that is seen.
        if (best is None or len(point) >= len(best.point)) and place.is_relative_to(point):
            best = Mount(point, after[0], _plain(after[1]))
    return best


def is_network(mount: Mount) -> bool:
    """Tell whether other machines may change the files of a file system."""
    kind, _, inner = mount.kind.partition(".")
    if kind in {"fuse", "fuseblk"}:
        return inner in NETWORK_FUSE
    return mount.kind in NETWORK and not (mount.kind in _OWN and mount.point == "/")


def refuse_network(path: Path, table: Path | None = None) -> None:
    """Refuse a database on a network file system.

    Args:
        path: the database's file, which needn't be there yet.
        table: the table of mounts; where there is none, everything is taken for local.

    Raises:
        StoreError: it is on one.
    """
    try:
        text = (table or TABLE).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    mount = mount_of(path, text)
    if mount is not None and is_network(mount):
        raise StoreError(
            f"The database {path} would stand on a network file system, where it gets damaged.",
            code="AF-STORE-NETWORK",
            why=f"{mount.point} is {mount.kind}, from {mount.source}.",
            hint="Put the store on a local disk: --store PATH, AGENTFLOW_STORE, or `store:` in the config.",
        )


def _plain(text: str) -> str:
    """Undo the escapes of the table: `\\040` is a space."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
