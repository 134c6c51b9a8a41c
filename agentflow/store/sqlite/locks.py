"""Which processes have a database open, as the operating system's table of file locks tells it (Linux only).

The database's own files are never opened for that: closing one would drop the locks that this process holds on it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

TABLE = Path("/proc/locks")
_WRITING = range(120, 121)
"""Byte of the shared-memory file that a connection locks while it writes."""
_READING = range(123, 128)
"""Bytes of the shared-memory file that a connection locks while it reads a snapshot."""


class User(NamedTuple):
    """A process that has the database open."""

    pid: int
    name: str
    """Of its program; empty where that can't be told."""

    def __str__(self) -> str:
        """Return how a person would name it."""
        return f'pid {self.pid} ("{self.name}")' if self.name else f"pid {self.pid}"

    @property
    def stopped(self) -> bool:
        """Whether it doesn't run, by a signal or a debugger."""
        with suppress(OSError):
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
            return stat.rpartition(")")[2].split()[0] in {"T", "t"}
        return False


def users(path: Path) -> list[User] | None:
    """Return the processes that have a database open, this one included; None where that can't be told."""
    return _holders(path, None)


def writers(path: Path) -> list[User] | None:
    """Return the process that writes to a database at this moment; None where that can't be told."""
    return _holders(path, _WRITING)


def readers(path: Path) -> list[User] | None:
    """Return the processes that hold a snapshot of a database at this moment; None where that can't be told."""
    return _holders(path, _READING)


def listed(found: list[User] | None) -> str:
    """Return processes as a text for people."""
    return ", ".join(str(user) for user in found or ())


def _holders(path: Path, wanted: range | None) -> list[User] | None:
    try:
        lines = TABLE.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    files = {_file(path.with_name(path.name + "-shm"))}
    if wanted is None:
        files.add(_file(path))
    found = dict[int, User]()
    for line in lines:
        # "1: POSIX  ADVISORY  READ 4711 fe:00:2146494 124 124"; one that waits for a lock has "->" in it.
        parts = line.split()
        if len(parts) != 8 or parts[1] != "POSIX" or parts[5] not in files or not parts[4].isdigit():
            continue
        pid = int(parts[4])
        if pid and (wanted is None or (parts[6].isdigit() and int(parts[6]) in wanted)):
            found.setdefault(pid, User(pid, _name(pid)))
    return list(found.values())


def _file(path: Path) -> str:
    with suppress(OSError):
        stat = path.stat()
        return f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"
    return ""


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return ""
