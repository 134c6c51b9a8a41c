"""Servers without the time of their imports: a process that has imported everything forks for each of them.

A server needs more than a second to import itself, and the tests start very many. The tests' side is `start`. Run as a
script, this file is the process that forks. What it forks watches a server and tells how it ended; the server gets its
arguments, folder, environment and streams, and runs the script of the console command as `__main__`.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from io import FileIO, TextIOWrapper
from pathlib import Path
from typing import IO

COMMAND = str(Path(sys.executable).with_name("agentflow"))
ROOT = Path(__file__).parent.parent
PACKAGES = (ROOT / "agentflow", ROOT / "a2a" / "agentflow_a2a", ROOT / "mcp_server" / "agentflow_mcp")
LAZY = (
    "anyio._backends._asyncio", "anyio._core._signals", "httptools", "jsonschema_rs", "uuid_utils",
    "uvicorn.lifespan.on", "uvicorn.loops.auto", "uvicorn.protocols.http.httptools_impl",
)  # fmt: skip
"""What libraries import only when they are used."""
FRESH = ("PYTHON", "_PYTHON", "HOME", "LANG", "LC_", "LD_", "MALLOC_", "OTEL_", "PYDANTIC_", "TYPER_", "GRPC_")
"""Beginnings of the variables that only a new interpreter, or a first import, reads."""
MOST = 200_000
PATIENCE = 60.0


class Forked:
    """A server, with as much of the interface of `subprocess.Popen` as tests of servers use."""

    def __init__(self, stdout: IO[str], end: FileIO) -> None:
        """Take what it prints, and where it is told what its number is and how it ended."""
        self.stdout = stdout
        self._end = end
        self._code: int | None = None
        self.pid = int(self._told(PATIENCE))

    def _told(self, limit: float) -> bytes:
        if not select.select([self._end], [], [], limit)[0]:
            raise subprocess.TimeoutExpired([COMMAND], limit)
        told = self._end.readline()
        if not told:
            raise RuntimeError("what watched a server has ended")
        return told

    def wait(self, timeout: float) -> int:
        """Return how it ended, as soon as it has."""
        if self._code is None:
            self._code = int(self._told(timeout))
            self._end.close()
        return self._code

    def poll(self) -> int | None:
        """Return how it ended, if it has."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it without a word."""
        self.send_signal(signal.SIGKILL)


def start(arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], stderr: IO[str]) -> Forked:
    """Start `agentflow` with arguments; what it prints is at `stdout`."""
    reading, writing = os.pipe()
    end, ending = os.pipe()
    try:
        fresh = tuple(sorted((name, value) for name, value in env.items() if name.startswith(FRESH)))
        order = json.dumps([[COMMAND, *arguments], str(cwd), dict(env)]).encode()
        socket.send_fds(_forking(fresh), [order], [writing, stderr.fileno(), ending])
    finally:
        os.close(writing)
        os.close(ending)
    return Forked(TextIOWrapper(FileIO(reading), encoding="utf-8"), FileIO(end))


@cache
def _forking(fresh: tuple[tuple[str, str], ...]) -> socket.socket:
    """Start what forks, for servers with the same variables that are read first; it ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(FRESH)}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            cwd="/", env={**environ, **dict(fresh)}, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            start_new_session=True,
        )  # fmt: skip

    @atexit.register
    def close() -> None:
        ours.close()
        process.wait(PATIENCE)

    return ours


def _import_everything() -> None:
    for package in PACKAGES:
        for file in sorted(package.rglob("*.py")):
            parts = file.relative_to(package.parent).with_suffix("").parts
            if "testing" not in parts:
                import_module(".".join(parts).removesuffix(".__init__"))
    for name in LAZY:
        import_module(name)
    import_module("agentflow.cli.app").parser()
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("an import started a thread: its locks would be dead in a forked server")
    gc.collect()
    gc.freeze()


def _fork(control: socket.socket) -> bytes | None:
    """Fork for each server; return in a server what it is, and nothing when the tests are over."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever watches a server leaves nothing to be waited for
    while True:
        order, files, _, _ = socket.recv_fds(control, MOST, 3)
        if not order:
            return None
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            *streams, end = files
            server = os.fork()
            if not server:
                os.close(end)
                for number, file in enumerate(streams, 1):
                    os.dup2(file, number)
                    os.close(file)
                return order
            _watch(server, [control.fileno(), *streams], end)
        for file in files:
            os.close(file)


def _watch(server: int, files: list[int], end: int) -> None:
    for file in files:
        os.close(file)
    os.write(end, b"%d\n" % server)
    os.write(end, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(server, 0)[1]))
    os._exit(0)


def _main(number: int) -> None:
    sys.path[0] = str(Path(COMMAND).parent)  # as the command's script has it
    _import_everything()
    with socket.socket(fileno=number) as control:
        order = _fork(control)
    if order is not None:
        sys.argv, folder, environ = json.loads(order)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        time.tzset()
        runpy.run_path(COMMAND, run_name="__main__")


if __name__ == "__main__":
    _main(int(sys.argv[1]))
