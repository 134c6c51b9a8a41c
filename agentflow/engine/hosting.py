"""Hosts beside each other on one store: who is alive, and how one wakes another.

A host holds an OS file lock for as long as it lives; the operating system gives it back whatever way the process ends,
so a lock that can be taken belongs to a dead host. A datagram socket beside it is the doorbell.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import anyio
from anyio.abc import UNIXDatagramSocket

from agentflow.errors import StoreError

try:
    import fcntl
except ImportError:  # pragma: no cover  not on Windows
    fcntl = None

_MAX_SOCKET_PATH = 100
_held: set[int] = set()
"""Open files of this process's locks."""


def _forget() -> None:
    """Close the locks in a forked child, which would hold them beyond this process's death."""
    for file in _held:
        os.close(file)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class HostLock:
    """This host's lock, and a look at the others'."""

    def __init__(self, directory: str, name: str) -> None:
        """Take the lock `hosts/<name>.lock` in the store's folder."""
        self.folder = Path(directory) / "hosts"
        self.name = name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"The folder {self.folder} can't be written.",
                code="AF-STORE-OPEN",
                why=(error.strerror or str(error)).lower(),
                hint="name a place that this user may write: --store PATH, or AGENTFLOW_STORE",
            ) from error
        if fcntl is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(self._file, f"{os.getpid()}\n".encode())
        _held.add(self._file)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.lock"

    def dead(self, names: Iterable[str]) -> set[str]:
        """Return those of the named hosts that live no more."""
        return {name for name in names if name and name != self.name and self._is_dead(name)}

    def _is_dead(self, name: str) -> bool:
        if fcntl is None:
            return False
        try:
            file = os.open(self._path(name), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
        else:
            fcntl.flock(file, fcntl.LOCK_UN)
            return True
        finally:
            os.close(file)

    def sweep(self, names: Iterable[str]) -> None:
        """Remove the files of dead hosts that no lease names any more."""
        for name in names:
            for path in (self._path(name), self.folder / f"{name}.sock"):
                with contextlib.suppress(OSError):
                    path.unlink()

    def known(self) -> set[str]:
        """Return the names of all hosts that have files here."""
        return {path.stem for path in self.folder.glob("*.lock")}

    def release(self) -> None:
        """Give the lock back."""
        self.sweep([self.name])
        _held.discard(self._file)
        os.close(self._file)


def ring(directory: str | None, names: Iterable[str | None]) -> None:
    """Wake hosts of this machine; a host that can't be reached looks by itself soon."""
    if directory is None:
        return
    for name in {name for name in names if name}:
        path = Path(directory) / "hosts" / f"{name}.sock"
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.setblocking(False)
            bell.sendto(b"!", str(path))


def others(directory: str | None, own: str) -> list[str]:
    """Return the names of hosts that have a doorbell."""
    if directory is None:
        return []
    return [path.stem for path in (Path(directory) / "hosts").glob("*.sock") if path.stem != own]


async def answer_bell(lock: HostLock, wake: Callable[[], None]) -> None:
    """Call `wake` whenever somebody rings; ends only by being cancelled."""
    path = lock.folder / f"{lock.name}.sock"
    if len(str(path)) > _MAX_SOCKET_PATH:
        return
    bell = await _bell(path)
    if bell is not None:
        async with bell:
            async for _ in bell:
                wake()


async def _bell(path: Path) -> UNIXDatagramSocket | None:
    # cancelled between binding and returning it, the socket would never be closed
    with anyio.CancelScope(shield=True):
        try:
            return await anyio.create_unix_datagram_socket(local_path=path, local_mode=0o600)
        except OSError:
            return None
