"""Servers without the time of their imports: a process that has imported everything forks for each of them.

A server needs more than a second to import itself, and the tests start very many. The tests' side is `start`, and
`relayed` where somebody else starts a program at its streams. Run as a script, this file is the process that forks.
What it forks watches a server and tells how it ended; the server gets its arguments, folder, environment and streams,
and runs a script as `__main__`: that of the console command, or any other.
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
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from io import FileIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

COMMAND = str(Path(sys.executable).with_name("agentflow"))
RELAY = Path(__file__).with_name("relay.py")
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
_codes: list[int] = []
"""How what was forked ends."""
PATIENCE = 60.0


class Forked:
    """A server, with as much of the interface of `subprocess.Popen` as tests of servers use."""

    def __init__(self, args: Sequence[str], end: FileIO) -> None:
        """Take where it is told what its number is and how it ended."""
        self.args = args
        self._end = end
        self._code: int | None = None
        self.pid = int(self._told(PATIENCE))

    def _told(self, limit: float) -> bytes:
        if not select.select([self._end], [], [], limit)[0]:
            raise subprocess.TimeoutExpired(self.args, limit)
        told = self._end.readline()
        if not told:
            raise RuntimeError("what watched a server has ended")
        return told

    def wait(self, timeout: float = PATIENCE) -> int:
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

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


def start(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], stderr: IO[str]
) -> tuple[Forked, IO[str]]:  # fmt: skip
    """Start `agentflow` with arguments; returns it with what it prints."""
    reading, writing = os.pipe()
    try:
        server = fork([COMMAND, *arguments], cwd=cwd, env=env, stdout=writing, stderr=stderr.fileno())
    finally:
        os.close(writing)
    return server, TextIOWrapper(FileIO(reading), encoding="utf-8")


def fork(script: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdout: int, stderr: int) -> Forked:
    """Start a script with its arguments; it has no input."""
    end, ending = os.pipe()
    try:
        with Path(os.devnull).open() as nothing:
            order = json.dumps([list(script), str(cwd), dict(env)]).encode()
            socket.send_fds(_forking(env).control, [order], [nothing.fileno(), stdout, stderr, ending])
    finally:
        os.close(ending)
    return Forked(script, FileIO(end))


def relayed(script: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Return a command that is started as any other, and runs a script with its folder, environment and streams.

    Args:
        script: its path and its arguments.
        env: what the process that forks has of variables that only a new interpreter reads.
    """
    return [sys.executable, "-I", "-S", str(RELAY), _forking(env).address, *script]


@dataclass(frozen=True, slots=True)
class _Forking:
    control: socket.socket
    address: str


def _forking(env: Mapping[str, str]) -> _Forking:
    return _started(tuple(sorted((name, value) for name, value in env.items() if name.startswith(FRESH))))


@cache
def _started(fresh: tuple[tuple[str, str], ...]) -> _Forking:
    """Start what forks, for servers with the same variables that are read first; it ends with this process."""
    folder = TemporaryDirectory(prefix="af", ignore_cleanup_errors=True)  # a socket's path has to be short
    address = f"{folder.name}/relays"
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(address)
    listening.listen(16)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(FRESH)}
    with theirs, listening:
        numbers = [theirs.fileno(), listening.fileno()]
        process = subprocess.Popen(  # its output is a pipe: the streams that a server inherits were made for one
            [sys.executable, __file__, *map(str, numbers)],
            cwd="/", env={**environ, **dict(fresh)}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            pass_fds=numbers, start_new_session=True,
        )  # fmt: skip

    @atexit.register
    def close() -> None:
        ours.close()
        process.communicate(timeout=PATIENCE)
        folder.cleanup()

    return _Forking(ours, address)


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


def _fork(control: socket.socket, listening: socket.socket) -> bytes | None:
    """Fork for each server; return in a server what it is, and nothing when the tests are over."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever watches a server leaves nothing to be waited for
    while True:
        files: list[int] = []
        relay: socket.socket | None = None
        if select.select([control, listening], [], [])[0][0] is control:
            order, files, _, _ = socket.recv_fds(control, MOST, 4)
            if not order:
                return None
        else:
            relay, _ = listening.accept()
            order, files, _, _ = socket.recv_fds(relay, MOST, 3)
            files.append(relay.detach())
        if order and not os.fork():
            control.close()
            listening.close()
            if _runs(files, relayed=relay is not None):
                return order
        for file in files:
            os.close(file)


def _runs(files: list[int], *, relayed: bool) -> bool:
    """Fork a server with its streams: return in it; watch it here."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, end = files
    server = os.fork()
    if not server:
        os.close(end)
        for number, file in enumerate(streams):
            os.dup2(file, number)
            os.close(file)
        return True
    for file in streams:
        os.close(file)
    watched = os.pidfd_open(server)
    with suppress(BrokenPipeError):
        os.write(end, b"%d\n" % server)
    if relayed and end in select.select([watched, end], [], [])[0]:
        os.kill(server, signal.SIGKILL)  # whoever stood for it is gone
    code = os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])
    with suppress(BrokenPipeError):
        os.write(end, b"%d\n" % code)
    os._exit(0)


def _run(script: str) -> None:
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, int | None):
            _codes.append(end.code or 0)
        raise


def _leave() -> None:
    """Be the last thing at the exit of what was forked: to free its memory piece by piece would take longest of all."""
    if _codes:
        with suppress(OSError, ValueError, AttributeError):  # a stream that fails or is gone: the interpreter tells it
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(_codes[0])


def _main(*numbers: int) -> None:
    atexit.register(_leave)
    _import_everything()
    control, listening = (socket.socket(fileno=number) for number in numbers)
    with control, listening:
        order = _fork(control, listening)
    if order is not None:
        sys.argv, folder, environ = json.loads(order)
        sys.path[0] = str(Path(sys.argv[0]).parent)  # as a script has it
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        time.tzset()
        _run(sys.argv[0])


if __name__ == "__main__":
    _main(*map(int, sys.argv[1:]))
