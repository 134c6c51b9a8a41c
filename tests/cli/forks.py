"""Commands without the time of their start: a process that has imported everything forks for each of them.

The tests' side is `Forker`. Run as a script, this file is the process that forks: it imports, reads the signatures of
all commands, and does nothing else, so it has no thread, event loop, database or module of a user. A forked command
gets its arguments, folder, environment and pipes, runs the script of the console command as `__main__`, and ends the
way every interpreter ends.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib import import_module
from io import FileIO
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).with_name("agentflow"))
PACKAGE = Path(__file__).parents[2] / "agentflow"
FRESH = ("PYTHON", "_PYTHON", "HOME", "LANG", "LC_", "LD_", "MALLOC_", "OTEL_", "PYDANTIC_", "TYPER_")
"""Beginnings of the variables that only a new interpreter, or a first import, reads."""
LAZY = ("anyio._backends._asyncio", "anyio._core._signals", "jsonschema_rs", "uuid_utils")
"""What libraries import only when they are used."""
READY, KILL = b"ready", b"kill"
MOST = 200_000
_codes: list[int] = []
"""How what was forked ends."""
PATIENCE = 60.0


class Forker:
    """The tests' side: one process that forks, for one command after the other. The first command starts it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take the environment that the process is to start with."""
        self._environ = dict(environ)
        self._control: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def fits(self, environ: Mapping[str, str]) -> bool:
        """Tell whether a forked command does the same as a started one in this environment."""
        return _fresh(environ) == _fresh(self._environ)

    def run(
        self, arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str], stdin: str = "", limit: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as `subprocess.run` does with text and captured output."""
        command, pid = [COMMAND, *arguments], 0
        order = json.dumps([command, str(cwd), dict(environ)]).encode()
        with ExitStack() as stack:
            ours, theirs = _pipes(stack)
            try:
                control = self._control or self._start()
                socket.send_fds(control, [order], [file.fileno() for file in theirs])
                for file in theirs:
                    file.close()
                pid = int(_answer(control))
                code, out, err = _talk(control, ours, stdin.encode(), time.monotonic() + limit)
                if code is None:
                    control.send(KILL)
                    while _answer(control) != READY:
                        pass
            except OSError as error:
                if pid:
                    _kill(pid)  # nobody else would
                told = self.close()
                raise RuntimeError(f"the process that forks commands failed: {told or error}") from error
            except BaseException:
                self.close()  # the answer that is still to come is none for the next command
                raise
        if code is None:
            raise subprocess.TimeoutExpired(command, limit, out, err)
        return subprocess.CompletedProcess(command, code, _text(out), _text(err))

    def _start(self) -> socket.socket:
        """Start the process, and wait until it has imported everything."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(PATIENCE)
        with theirs:
            # pipes, as commands have them: the streams that a command inherits were made for pipes
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                cwd="/",
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        _answer(self._control)
        streams = [stream for stream in (self.process.stdout, self.process.stderr) if stream is not None]
        if select.select(streams, [], [], 0)[0]:
            raise ConnectionError("an import printed something, which a command would have shown")
        return self._control

    def close(self) -> str:
        """End the process and return how it ended. It ends by itself when this one is killed."""
        if self._control is not None:
            self._control.close()
        process, self._control, self.process = self.process, None, None
        if process is None:
            return ""
        try:
            told = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            told = process.communicate()
        return f"exit code {process.returncode}, {b' '.join(told).decode(errors='replace').strip() or 'no output'}"


def _fresh(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(FRESH)}


def _text(told: bytes) -> str:
    return told.decode().replace("\r\n", "\n").replace("\r", "\n")


def _answer(control: socket.socket) -> bytes:
    answer = control.recv(MOST)
    if not answer:
        raise ConnectionResetError
    return answer


def _kill(pid: int) -> None:
    """Kill a forked command, and what is in its group."""
    for kill in (os.killpg, os.kill):  # in its first moment it has no group yet
        with suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _pipes(stack: ExitStack) -> tuple[list[FileIO], list[FileIO]]:
    """Return our ends of a command's stdin, stdout and stderr, and its ends."""
    ours: list[FileIO] = []
    theirs: list[FileIO] = []
    for reader, writer in ((theirs, ours), (ours, theirs), (ours, theirs)):
        reading, writing = os.pipe()
        reader.append(stack.enter_context(FileIO(reading, "r")))
        writer.append(stack.enter_context(FileIO(writing, "w")))
    return ours, theirs


def _talk(control: socket.socket, files: list[FileIO], stdin: bytes, end: float) -> tuple[int | None, bytes, bytes]:
    """Return a command's exit code and what it printed; no code if time was over before all of them came."""
    code: int | None = None
    writing, *reading = files
    told = [bytearray(), bytearray()]
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(writing, selectors.EVENT_WRITE)
        for file, part in zip(reading, told, strict=True):
            selector.register(file, selectors.EVENT_READ, part)
        while selector.get_map():
            ready = selector.select(max(0.0, end - time.monotonic()))
            if not ready or time.monotonic() > end:
                return None, bytes(told[0]), bytes(told[1])
            for key, _ in ready:
                if key.fileobj is control:
                    code = int(_answer(control))
                elif key.fileobj is writing:
                    stdin = _feed(key.fd, stdin)
                    if stdin:
                        continue
                elif chunk := os.read(key.fd, MOST):
                    key.data.extend(chunk)
                    continue
                selector.unregister(key.fileobj)
                if key.fileobj is writing:
                    writing.close()
    return code, bytes(told[0]), bytes(told[1])


def _feed(file: int, data: bytes) -> bytes:
    """Write a piece to a pipe that has room for it, and return the rest; nothing is left if nobody reads."""
    with suppress(BrokenPipeError):
        return data[os.write(file, data[: select.PIPE_BUF]) :]
    return b""


def _import_everything() -> None:
    """Import what a command may need, and see that nothing runs because of it."""
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        if "testing" not in parts:
            import_module(".".join(parts).removesuffix(".__init__"))
    for name in LAZY:
        import_module(name)
    import_module("agentflow.cli.app").parser()
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("an import started a thread: its locks would be dead in a forked command")
    gc.collect()
    gc.freeze()


def _serve(control: socket.socket) -> Any:
    """Fork for each command; return in a command what it is, and nothing when the tests are over."""
    while True:
        order, files, _, _ = socket.recv_fds(control, MOST, 3)
        if not order:
            return None
        if order == KILL:  # it ended just before
            control.send(READY)
            continue
        pid = os.fork()
        if not pid:
            os.setsid()
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            return json.loads(order)
        for file in files:
            os.close(file)
        control.send(b"%d" % pid)
        _await(pid, control)


def _await(pid: int, control: socket.socket) -> None:
    """Wait for a command and tell how it ended; kill it when the tests say so, or are gone."""
    watch = os.pidfd_open(pid)
    killed = False
    while not select.select([watch] if killed else [watch, control], [], [])[0].count(watch):
        killed, gone = True, not control.recv(MOST)
        _kill(pid)
        if gone:
            sys.exit()
    os.close(watch)
    control.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    if killed:
        control.send(READY)


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


def _main(number: int) -> None:
    atexit.register(_leave)
    sys.path[0] = str(Path(COMMAND).parent)  # as the command's script has it
    _import_everything()
    with socket.socket(fileno=number) as control:
        control.send(READY)
        command = _serve(control)
    if command is not None:
        sys.argv, folder, environ = command
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        time.tzset()
        _run(COMMAND)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
