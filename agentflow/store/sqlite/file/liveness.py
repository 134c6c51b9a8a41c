"""Hosts beside each other on one database in a file: who is alive, and how one wakes another.

A host holds an OS file lock for as long as it lives; the operating system gives it back whatever way the process ends,
so a lock that can be taken belongs to a dead host. A datagram socket beside it is the doorbell.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Generator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentflow.store.places import SUPPORTED, reaching

if TYPE_CHECKING:
    from anyio.abc import UNIXDatagramSocket

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


class FileLiveness:
    """This host's lock and doorbell in the folder `hosts` beside the database, and a look at the others'."""

    def __init__(self, directory: Path) -> None:
        """Be no host yet."""
        self.folder = directory / "hosts"
        self._name = ""
        self._file = -1

    async def join(self, name: str) -> None:
        """Take the lock `<name>.lock`."""
        with reaching(self._lock(name)):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = self._take(self._lock(name))
        self._name = name
        with contextlib.suppress(OSError):  # a full disk: the number is only for people who look
            os.write(self._file, f"{os.getpid()}\n".encode())
        _held.add(self._file)
        self.sweep()

    async def leave(self) -> None:
        """Give the lock back."""
        for path in (self._lock(self._name), self._bell(self._name)):
            with contextlib.suppress(OSError):
                path.unlink()
        _held.discard(self._file)
        os.close(self._file)
        self._name = ""

    async def dead(self, names: Collection[str]) -> set[str]:
        """Return those of the named hosts that live no more."""
        return {name for name in names if name and name != self._name and _is_dead(self._lock(name))}

    async def living(self) -> set[str]:
        """Return the names of the hosts that live."""
        return {path.stem for path in self.folder.glob("*.lock") if not _is_dead(path)}

    async def ring(self, names: Collection[str] | None) -> None:
        """Wake hosts of this machine; a host that can't be reached looks by itself soon."""
        import socket  # noqa: PLC0415  who only looks at hosts needn't load it

        if names is None:
            names = [path.stem for path in self.folder.glob("*.sock")]
        for name in {*names} - {self._name}:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
                bell.setblocking(False)
                bell.sendto(b"!", str(self._bell(name)))

    async def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever somebody rings; ends only by being cancelled."""
        import anyio  # noqa: PLC0415  who only looks at hosts needn't load it

        path = self._bell(self._name)
        bell = await _made(path) if len(str(path)) <= _MAX_SOCKET_PATH else None
        if bell is None:
            await anyio.sleep_forever()
            return
        async with bell:
            async for _ in bell:
                wake()

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

    def _lock(self, name: str) -> Path:
        return self.folder / f"{name}.lock"

    def _bell(self, name: str) -> Path:
        return self.folder / f"{name}.sock"


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


async def _made(path: Path) -> UNIXDatagramSocket | None:
    import anyio  # noqa: PLC0415  who only looks at hosts needn't load it

    # cancelled between binding and returning it, the socket would never be closed
    with anyio.CancelScope(shield=True):
        try:
            return await anyio.create_unix_datagram_socket(local_path=path, local_mode=0o600)
        except OSError:
            return None
