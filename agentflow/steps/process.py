"""Runs the processes of `script`, and leaves none behind: not on an error, a timeout, a cancel or a dead host."""

from __future__ import annotations

import codecs
import os
import signal
import subprocess
import warnings
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import IO, Any

import anyio
from anyio import to_thread

from agentflow.data import is_object
from agentflow.errors import StepError
from agentflow.redaction import current
from agentflow.steps import processes
from agentflow.steps.charsets import json_of, text_of
from agentflow.steps.contract import Context, Handle
from agentflow.steps.failing import shorten
from agentflow.steps.not_started import cannot_start, not_started, of_windows
from agentflow.steps.results import read_text
from agentflow.steps.script_fields import ScriptConfig
from agentflow.steps.services import services_of
from agentflow.unfit import UnfitError

MAX_OUTPUT = 4 * 1024 * 1024
_MAX_ERRORS = 64 * 1024
_MAX_LINE = 64 * 1024
"""Characters after which the rest of a line isn't waited for."""
_MAX_SHOWN = 8 * 1024
"""Characters that are told of it."""
_MAX_SAID = 2000
_GRACE = 2.0
"""Seconds between the polite signal and the one that can't be refused."""
_LINGER = 1.0
"""Seconds that children which outlive the script may still write."""
_POLL = 0.02
_PASSED = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ", "TMPDIR"}
)
"""Variables of this process that scripts see. Everything else may hold secrets."""
_SHELLS: Mapping[str, tuple[str, ...]] = {
    "bash": ("bash", "--noprofile", "--norc", "-c"),
    "sh": ("sh", "-c"),
    "zsh": ("zsh", "-f", "-c"),
}
_STATE = "script"


async def run_script(config: ScriptConfig, ctx: Context) -> Any:
    """Run a script to its end.

    Raises:
        StepError: it can't be started, exits with another code than 0, or prints too much.
    """
    if ctx.attempt > 1 or ctx.state is not None:
        await to_thread.run_sync(_end_earlier, ctx.state, ctx.idempotency_key)
    services = services_of(ctx)
    folder = services.folder or Path.cwd()
    cwd = folder / config.cwd if config.cwd else folder
    if not cwd.is_dir():
        raise cannot_start(f'there is no folder "{config.cwd or cwd}" to run in')
    arguments, file = _arguments(config), None
    shell, files = services.limits.shell, services.limits.filesystem
    if shell is not None or files is not None:
        from agentflow.steps.shell_limits import allowed_folder, allowed_program  # noqa: PLC0415  few have limits

        cwd = allowed_folder(shell, files, cwd, folder)
        file = None if shell is None else allowed_program(shell, arguments[0], config.env or {}, folder, cwd)
    lines = _Lines(ctx) if config.output_format == "stream" else None
    process = _Process.start(arguments, cwd, _environment(config, ctx), ctx.idempotency_key, file)
    try:
        await ctx.save(Handle({_STATE: process.state()}))
        await process.run(lines)
    finally:
        with anyio.CancelScope(shield=True):
            await process.end()
    return _result(config, process, ctx, cwd)


def reap(state: Any) -> None:
    """End what a script of a dead host left running.

    Args:
        state: what the attempt saved.
    """
    saved = state.get(_STATE) if is_object(state) else None
    if is_object(saved):
        processes.reap(int(saved["group"]), str(saved["started"]), str(saved["boot"]), str(saved["mark"]))


def _end_earlier(state: Any, mark: str) -> None:
    """End what an earlier attempt left; also one that died before it could save anything."""
    reap(state)
    processes.end_marked(mark)


def _arguments(config: ScriptConfig) -> list[str]:
    if config.run is not None:
        return [*_SHELLS[config.shell or "bash"], config.run]
    return [config.command or "", *config.args]


def _environment(config: ScriptConfig, ctx: Context) -> dict[str, str]:
    passed = {name: value for name, value in os.environ.items() if name in _PASSED}
    return {**passed, **(config.env or {}), processes.MARK: ctx.idempotency_key}


class _Process:
    """A running script and what it printed so far."""

    def __init__(self, child: subprocess.Popen[bytes], mark: str) -> None:
        self._child = child
        self._mark = mark
        self._output: list[bytes] = []
        self._size = 0
        self.errors = b""
        """The end of what it printed on stderr."""
        self.errors_cut = False
        """Whether it had a beginning that wasn't kept."""
        self.overflow = False

    @classmethod
    def start(
        cls, arguments: list[str], cwd: Path, environment: dict[str, str], mark: str, file: str | None
    ) -> _Process:
        """Start it, in a session of its own. Called in the loop's thread, whose end would end the script too."""
        try:
            with warnings.catch_warnings():
                # Python warns of forks beside threads; this child only makes two system calls before it is replaced.
                warnings.simplefilter("ignore", DeprecationWarning)
                child = subprocess.Popen(  # noqa: S603  an argv, no shell
                    arguments,
                    executable=file,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    cwd=cwd,
                    env=environment,
                    start_new_session=True,
                    preexec_fn=processes.die_with_parent(),  # noqa: PLW1509  it takes no lock
                )
        except (OSError, ValueError, MemoryError) as error:
            raise not_started(arguments[0], error, cwd, environment.get("PATH")) from None
        return cls(child, mark)

    @property
    def code(self) -> int:
        """The exit code; 128 + the signal's number where one ended it, as shells have it."""
        code = self._child.returncode
        return 128 - code if code < 0 else code

    @property
    def output(self) -> bytes:
        """What it printed on stdout."""
        return b"".join(self._output)

    def state(self) -> dict[str, Any]:
        """Return what finds its processes again after this host's death."""
        pid = self._child.pid
        started = processes.started_at(pid) or ""
        return {"group": pid, "started": started, "boot": processes.boot_id(), "mark": self._mark}

    async def run(self, lines: _Lines | None) -> None:
        """Read what it prints until it and its group have ended, or it has printed too much."""
        open_pipes = 2

        async def pump(pipe: IO[bytes] | None, take: Callable[[bytes], bool]) -> None:
            nonlocal open_pipes
            assert pipe is not None  # noqa: S101  both are pipes, see start
            await _read(pipe, take, lines.drain if lines is not None else None)
            open_pipes -= 1
            if self.overflow or (not open_pipes and exited.is_set()):
                tasks.cancel_scope.cancel()

        def take_output(chunk: bytes) -> bool:
            self._size += len(chunk)
            self.overflow = self._size > MAX_OUTPUT
            if not self.overflow:
                self._output.append(chunk)
                if lines is not None:
                    lines.feed(chunk)
            return not self.overflow

        def take_errors(chunk: bytes) -> bool:
            self.errors += chunk
            if len(self.errors) > _MAX_ERRORS:
                self.errors, self.errors_cut = self.errors[-_MAX_ERRORS:], True
            return True

        exited = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pump, self._child.stdout, take_output)
            tasks.start_soon(pump, self._child.stderr, take_errors)
            await self._exit()
            exited.set()
            if not open_pipes:
                tasks.cancel_scope.cancel()
            tasks.cancel_scope.deadline = anyio.current_time() + _LINGER
        for pipe, take in ((self._child.stdout, take_output), (self._child.stderr, take_errors)):
            _drain(pipe, take)  # what was written before the end, but not yet read when the time was up
        if lines is not None:
            lines.end()

    async def _exit(self) -> None:
        """Wait until the leader has exited."""
        if not hasattr(os, "pidfd_open"):
            await to_thread.run_sync(self._child.wait, abandon_on_cancel=True)
            return
        try:
            handle = os.pidfd_open(self._child.pid)
        except OSError:  # an old kernel
            await to_thread.run_sync(self._child.wait, abandon_on_cancel=True)
            return
        try:
            while self._child.poll() is None:
                await anyio.wait_readable(handle)
        finally:
            os.close(handle)

    async def end(self) -> None:
        """End what is left of it: politely, then for sure. Nothing of it runs afterwards, and no zombie stays."""
        child = self._child
        natural = child.poll() is not None
        group = child.pid
        try:
            if not natural or processes.group_exists(group):
                await self._end_group(group)
            if not natural or self.overflow:
                # Some may have left the group. After a natural end such a process was detached on purpose.
                await to_thread.run_sync(processes.end_marked, self._mark)
        finally:
            for pipe in (child.stdout, child.stderr):
                if pipe is not None:
                    pipe.close()

    async def _end_group(self, group: int) -> None:
        self._signal(group, signal.SIGTERM)
        with anyio.move_on_after(_GRACE):
            await self._gone(group)
            return
        self._signal(group, signal.SIGKILL)
        with anyio.move_on_after(_GRACE):  # one that hangs in the kernel can't be waited for
            await self._gone(group)

    async def _gone(self, group: int) -> None:
        """Wait until the leader is collected and its group empty; zombies that are init's to collect don't count."""
        await self._exit()
        # Nobody tells of the end of other processes' children.
        while processes.group_exists(group) and await to_thread.run_sync(  # noqa: ASYNC110
            processes.members, group, self._mark
        ):
            await anyio.sleep(_POLL)

    def _signal(self, group: int, number: int) -> None:
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            return


async def _read(pipe: IO[bytes], take: Callable[[bytes], bool], drain: Callable[[], Awaitable[None]] | None) -> None:
    """Hand on what comes out of a pipe, until its end or `take` wants no more; `drain` keeps the writer waiting."""
    descriptor = pipe.fileno()
    os.set_blocking(descriptor, False)
    while True:
        await anyio.wait_readable(descriptor)
        try:
            chunk = os.read(descriptor, 65536)
        except BlockingIOError:
            continue
        if not chunk or not take(chunk):
            return
        if drain is not None:
            await drain()


def _drain(pipe: IO[bytes] | None, take: Callable[[bytes], bool]) -> None:
    """Hand on what a pipe holds at this moment."""
    while pipe is not None:
        try:
            chunk = os.read(pipe.fileno(), 65536)
        except BlockingIOError:
            return
        if not chunk or not take(chunk):
            return


class _Lines:
    """Tells whole lines as they come, all of a chunk at once."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._long = False
        """Whether the rest is of a line whose beginning was told."""

    def feed(self, chunk: bytes) -> None:
        """Take some bytes."""
        whole, end, rest = self._decoder.decode(chunk).rpartition("\n")
        if end:
            self._tell(self._rest + whole)
            self._rest, self._long = "", False
        self._rest += rest
        if len(self._rest) > _MAX_LINE:
            self._tell(current().head(self._rest, _MAX_SHOWN))
            self._rest, self._long = "", True

    def _tell(self, text: str) -> None:
        if self._long:
            _, end, text = text.partition("\n")
            if not end:
                return
            self._long = False
        self._ctx.log(text)

    async def drain(self) -> None:
        """Wait until there is room for more."""
        await self._ctx.drain()

    def end(self) -> None:
        """Tell the last line, if it had no end."""
        rest = self._rest + self._decoder.decode(b"", final=True)
        if rest:
            self._tell(current().head(rest, _MAX_SHOWN))


def _result(config: ScriptConfig, process: _Process, ctx: Context, cwd: Path) -> Any:
    if process.overflow:
        raise StepError(
            "the script printed more than 4 MiB, and was ended",
            code="AF-SCRIPT-OUTPUT",
            kind="exit",
            retryable=False,
            hint="write large data into a file, and print its path",
        )
    output = text_of(process.output)
    errors = text_of(process.errors).strip()
    if process.code != 0:
        path = (config.env or {}).get("PATH") or os.environ.get("PATH")
        hint = of_windows(config.command, cwd, path) if config.command else None
        said = current().tail(errors or output.strip(), _MAX_SAID, cut=bool(errors) and process.errors_cut)
        raise _exit_error(process.code, said, hint)
    if errors:
        ctx.log(current().tail(errors, _MAX_SHOWN, cut=process.errors_cut), "warning")
    if config.output_format == "text":
        return {"output": output.strip()}
    if config.output_format != "json":
        return read_text(output)
    try:
        return json_of(process.output)
    except ValueError as error:
        fault = "can't be kept" if isinstance(error, UnfitError) else "isn't JSON"
        raise StepError(
            f"stdout {fault}: {error}",
            code="AF-SCRIPT-JSON",
            kind="exit",
            retryable=False,
            why=f"it begins with: {shorten(output.strip(), 200)}" if output.strip() else "it is empty",
        ) from None


def _exit_error(code: int, said: str, hint: str | None) -> StepError:
    data: dict[str, Any] = {"exit_code": code}
    text = f"Exit code {code}"
    if code > 128:
        try:
            data["signal"] = signal.Signals(code - 128).name
            text += f" ({data['signal']})"
        except ValueError:
            pass
    return StepError(f"{text}: {said}" if said else text, code="AF-SCRIPT-EXIT", kind="exit", hint=hint, data=data)
