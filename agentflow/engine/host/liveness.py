"""Hosts beside each other on one store: who is alive, and how one wakes another.

A host holds an OS file lock for as long as it lives; the operating system gives it back whatever way the process ends,
so a lock that can be taken belongs to a dead host. A datagram socket beside it is the doorbell.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import UNIXDatagramSocket

from agentflow.errors import StoreError
from agentflow.store.places import reaching

if TYPE_CHECKING:
    from agentflow.engine.models import Run

SUPPORTED = sys.platform != "win32"
"""Whether it can be told on this system which hosts live."""
fcntl: Any = import_module("fcntl") if SUPPORTED else None

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


def refuse_platform() -> None:
    """Refuse a system on which nobody could tell which hosts live: a dead one's runs would never go on.

    Raises:
        StoreError: this is Windows.
    """
    if not SUPPORTED:
        raise StoreError(
            "agentflow doesn't run on Windows.",
            code="AF-PLATFORM",
            why="It can't be told there whether a process that executes runs is still alive.",
            hint="Use it in WSL, in a container, or on Linux or macOS.",
        )


class HostLock:
    """This host's lock, and a look at the others'."""

    def __init__(self, directory: str, name: str) -> None:
        """Take the lock `hosts/<name>.lock` in the store's folder."""
        self.folder = Path(directory) / "hosts"
        self.name = name
        with reaching(self._path(name)):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = self._take(self._path(name))
        with contextlib.suppress(OSError):  # a full disk: the number is only for people who look
            os.write(self._file, f"{os.getpid()}\n".encode())
        _held.add(self._file)
        self.sweep()

    @staticmethod
    def _take(path: Path) -> int:
        """Make a lock's file and lock it."""
        while True:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)  # nobody has this name; whoever looks at it is done in a moment
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), os.stat(path)):
                    return file
            os.close(file)  # before it was locked, it was swept away: it would lock nothing

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.lock"

    def dead(self, names: Iterable[str]) -> set[str]:
        """Return those of the named hosts that live no more."""
        return {name for name in names if name and name != self.name and _is_dead(self._path(name))}

    def sweep(self) -> None:
        """Remove the files of dead hosts: a lock that isn't there says the same as one that is free."""
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # it may be written, but not listed
            return
        try:
            # one at a time: a second one could take a new host's file for the old one that it looked at
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in self.folder.glob("*.lock"):
                _sweep(path)
            for path in self.folder.glob("*.sock"):
                if not path.with_suffix(".lock").exists():
                    path.unlink(missing_ok=True)
        except OSError:
            pass  # another one sweeps, or they belong to another user
        finally:
            os.close(folder)

    def known(self) -> set[str]:
        """Return the names of all hosts that have files here."""
        return {path.stem for path in self.folder.glob("*.lock")}

    def release(self) -> None:
        """Give the lock back."""
        for path in (self._path(self.name), self.folder / f"{self.name}.sock"):
            with contextlib.suppress(OSError):
                path.unlink()
        _held.discard(self._file)
        os.close(self._file)


def _is_dead(path: Path) -> bool:
    """Tell whether nobody holds a lock."""
    with _looking(path) as free:
        return free


def _sweep(path: Path) -> None:
    """Remove the files of a host, if it is dead. A host that begins finds that out as it locks its file."""
    with _looking(path) as free:
        if free:
            path.unlink(missing_ok=True)
            path.with_suffix(".sock").unlink(missing_ok=True)


@contextlib.contextmanager
def _looking(path: Path) -> Generator[bool]:
    """Tell whether a lock is free. Looking shares it, so that two who look don't take each other for a host."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    except OSError:  # another user's, or there are too many open files: nobody can know
        yield False
        return
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        free = True
    except OSError:  # it is held, or nobody can know
        free = False
    try:
        yield free
    finally:
        os.close(file)


def executed(directory: str | None, runs: Sequence[Run]) -> dict[str, bool | None]:
    """Tell of each run, by id, whether a live process executes it; None: it has ended, or nobody can know.

    A run that only waits for a time has no holder, but the process that let go of it may still look after it.
    """
    if directory is None or all(run.ended for run in runs):
        return {run.id: None for run in runs}
    live = living(directory)

    def told(run: Run) -> bool | None:
        if run.holder:
            return run.holder in live
        return None if live else False

    return {run.id: None if run.ended else told(run) for run in runs}


def living(directory: str) -> set[str]:
    """Return the names of the hosts that live, beside a store in this folder."""
    return {path.stem for path in (Path(directory) / "hosts").glob("*.lock") if not _is_dead(path)}


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
