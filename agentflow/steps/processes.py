"""The processes of this machine, as far as scripts need to know them: who belongs to one, and how to end them.

A script is the leader of a session and group of its own, and its environment carries a mark that all its descendants
inherit: also one that left the group is found. On systems without `/proc` only the group is known.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

MARK = "AGENTFLOW_STEP_KEY"
"""Environment variable that marks the processes of one step."""
_PROC = Path("/proc")
_HAS_PROC = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_KILL_WAIT = 0.5


def started_at(pid: int) -> str | None:
    """Return when a process started, as a text to compare; None if there is no such process."""
    if _HAS_PROC:
        fields = _stat(pid)
        return None if fields is None or fields[0] in ("Z", "X") else fields[19]
    done = subprocess.run(  # noqa: S603  the pid is a number
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
    )
    return done.stdout.strip() or None


def boot_id() -> str:
    """Return what tells this boot of the machine from others: process numbers begin anew with each."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def members(group: int, mark: str, since: int = 0) -> list[int]:
    """Return the living processes of a script: of its group, or with its mark.

    Args:
        group: number of the group; 0: none.
        mark: value of the mark.
        since: start time of the leader; what is older in a group of that number isn't the script's.
    """
    if not _HAS_PROC:
        return [group] if group_exists(group) else []
    return [pid for pid in _pids() if _belongs(pid, group, mark, since)]


def marked(mark: str) -> list[int]:
    """Return the living processes with a mark."""
    return members(0, mark) if _HAS_PROC else []


def group_exists(group: int) -> bool:
    """Tell whether a process group has any process, zombies included."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def reap(group: int, started: str, boot: str, mark: str) -> int:
    """End what a script of a dead host left behind, and return how many processes that were.

    A group or process that only has the same number by now is left alone: the leader's start time, the mark and the
    boot tell.
    """
    if boot != boot_id():
        return 0
    leader = started_at(group)
    if leader is not None and leader != started:
        group = 0  # the number belongs to a stranger, so the group is gone
    return _end(lambda: _remains(group, leader, started, mark))


def end_marked(mark: str) -> int:
    """End all processes with a mark, and return how many those were. Called in a thread."""
    return _end(lambda: marked(mark))


def _end(find: Callable[[], list[int]]) -> int:
    """Kill until nothing is found any more: death takes a moment, and a process may fork in that moment."""
    ended: set[int] = set()
    until = time.monotonic() + _KILL_WAIT
    while found := find():
        ended.update(found)
        _kill(found)
        if time.monotonic() > until:  # it hangs in the kernel, and runs nothing more either way
            break
        time.sleep(0.005)
    return len(ended)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _remains(group: int, leader: str | None, started: str, mark: str) -> list[int]:
    if _HAS_PROC:
        return members(group, mark, int(started) if started.isdigit() else 0)
    if group and leader == started and started_at(group) == started:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        return [group]
    return []


def _belongs(pid: int, group: int, mark: str, since: int) -> bool:
    fields = _stat(pid)
    if fields is None or fields[0] in ("Z", "X"):
        return False
    if group and int(fields[2]) == int(fields[3]) == group and int(fields[19]) >= since:
        return True
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False  # gone, or another user's
    return f"{MARK}={mark}".encode() in environment.split(b"\0")


def _pids() -> Iterator[int]:
    own = os.getpid()
    for name in os.listdir(_PROC):
        if name.isdigit() and int(name) != own:
            yield int(name)


def _stat(pid: int) -> list[str] | None:
    """Return the fields of a process from its state on (field 3 of proc(5)); None if there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


@lru_cache(maxsize=1)
def _prctl() -> Any:
    """Return the system call, looked up before any fork: a child mustn't import."""
    if not _HAS_PROC:
        return None
    try:
        return ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return None


def die_with_parent() -> Callable[[], None] | None:
    """Return what a child calls before it becomes the script: the system then ends it when this process dies."""
    prctl = _prctl()
    if prctl is None:
        return None
    parent = os.getpid()
    number = int(signal.SIGKILL)

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it died in between
            os._exit(127)

    return before_exec
