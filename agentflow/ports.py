"""Which program listens on a port of this machine, as far as this user may know. Nothing is asked of the program."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LISTENS = "0A"
"""The state of a listening socket in the kernel's tables."""
_LIMIT = 2.0
"""Seconds that looking may take where a program does it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that listens."""

    pid: int
    program: str
    folder: str | None = None
    """The folder it works in."""

    def __str__(self) -> str:
        """Return how people find it."""
        return f'pid {self.pid}, "{self.program}"'


def taken(port: int) -> str:
    """Say that another program has a port, and which one where that can be known."""
    holder = holder_of(port)
    return f"port {port} is used by another program" + (f" ({holder})" if holder is not None else "")


def holder_of(port: int) -> Holder | None:
    """Return who listens on a port; None where nobody does, or the process is another user's."""
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        if Path("/proc/net/tcp").exists():
            return _by_kernel(port)
        if shutil.which("lsof"):
            return _by_lsof(port)
    return None


def _by_kernel(port: int) -> Holder | None:
    wanted = {f"socket:[{inode}]" for inode in _sockets(port)}
    for process in Path("/proc").iterdir() if wanted else ():
        if not process.name.isdigit():
            continue
        with suppress(OSError):  # another user's, or it has just ended
            if any(_target(each) in wanted for each in (process / "fd").iterdir()):
                program = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return Holder(int(process.name), program, _target(process / "cwd"))
    return None


def _sockets(port: int) -> list[str]:
    found: list[str] = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    found.append(fields[9])
    return found


def _target(link: Path) -> str | None:
    with suppress(OSError):
        return os.readlink(link)
    return None


def _by_lsof(port: int) -> Holder | None:
    command = ["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False).stdout  # noqa: S603  fixed words and a number
    fields = {line[:1]: line[1:] for line in reversed(told.splitlines())}
    return Holder(int(fields["p"]), fields.get("c", "?")) if "p" in fields else None
