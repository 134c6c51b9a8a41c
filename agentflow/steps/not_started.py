"""Tells why a command couldn't be started, and what mends it."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from agentflow.errors import StepError
from agentflow.steps.failing import shorten
from agentflow.steps.passing import passes

_BEGINNING = 256
"""Bytes of a file that the system looks at for the name of an interpreter."""


def not_started(command: str, error: Exception, cwd: Path, path: str | None) -> StepError:
    """Return the failure of a step whose command couldn't be started.

    Args:
        command: a name or a path.
        error: what the system said.
        cwd: the folder it was to run in.
        path: the folders where names were looked for.
    """
    if passes(error):
        return StepError(
            f"command {_quoted(command)} can't be started now: {_reason(error)}",
            code="AF-SCRIPT-START",
            hint="it passes when others have ended: set retry, or a smaller max_parallel",
        )
    file = _file(command, cwd, path)
    if file is None and isinstance(error, FileNotFoundError | NotADirectoryError):
        hint = "give its path, or a name that is on the PATH"
        if " " in command.strip():
            hint = "command is one program: give its arguments as args, or use run"
        return cannot_start(f"command {_quoted(command)} not found", hint)
    if file is not None and isinstance(error, OSError):
        found = _of_file(command, file, error, of_windows(command, cwd, path))
        if found is not None:
            return found
    hint = "put large values into a file" if getattr(error, "errno", None) == errno.E2BIG else None
    return cannot_start(f"command {_quoted(command)} can't be started: {_reason(error)}", hint)


def cannot_start(what: str, hint: str | None = None) -> StepError:
    """Return the failure of a step whose script another attempt wouldn't start either."""
    return StepError(what, code="AF-SCRIPT-START", kind="invalid", retryable=False, hint=hint)


def of_windows(command: str, cwd: Path, path: str | None) -> str | None:
    """Return how to mend a script whose first line names an interpreter and ends as on Windows."""
    file = _file(command, cwd, path)
    first = _first_line(file) if file is not None else b""
    if not (first.startswith(b"#!") and first.endswith(b"\r\n")):
        return None
    return f"its lines end as on Windows: sed -i 's/\\r$//' {shorten(command, 200)}"


def _interpreter(file: Path) -> str | None:
    """Return the program that a file's first line names after `#!`, a stray carriage return included."""
    first = _first_line(file)
    if not first.startswith(b"#!"):
        return None
    return re.split(r"[ \t\n]", first[2:].decode("utf-8", "replace").strip(" \t\n"))[0] or None


def _first_line(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.readline(_BEGINNING)
    except OSError:
        return b""


def _file(command: str, cwd: Path, path: str | None) -> Path | None:
    """Return the file that a command means, whether or not it can be executed."""
    path = path or os.defpath
    try:
        if os.sep in command:
            file = cwd / command
            return file if file.exists() else None
        found = shutil.which(command, path=path) or shutil.which(command, os.F_OK, path)
    except (OSError, ValueError):
        return None
    return cwd / found if found else None


def _of_file(command: str, file: Path, error: OSError, mending: str | None) -> StepError | None:
    """Tell what is wrong with a file that is there."""
    name = _quoted(command)
    if file.is_dir():
        return cannot_start(f"command {name} is a folder", "give the path of a program")
    interpreter = _interpreter(file)
    if isinstance(error, PermissionError):
        if not os.access(file, os.X_OK):
            return cannot_start(f"command {name} isn't executable", f"chmod +x {shorten(command, 200)}")
        if interpreter is not None:
            return cannot_start(f"command {name} is run by {_quoted(interpreter)}, which isn't executable")
        return None
    if error.errno == errno.ENOEXEC:
        hint = "begin it with a line such as #!/bin/sh, or let a program run it: command: sh, args: [its path]"
        return cannot_start(f"command {name} is no program of this system, and no script with a #! line", hint)
    if not isinstance(error, FileNotFoundError):
        return None
    if interpreter is None:
        hint = "is it made for another system?"
        return cannot_start(f"command {name} is there, but a library or a loader that it needs isn't", hint)
    hint = mending or "install it, or correct the file's first line"
    return cannot_start(f"command {name} is there, but its interpreter {_quoted(interpreter)} isn't", hint)


def _quoted(text: str) -> str:
    """Quote a name with its invisible characters written out."""
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return f'"{shorten(shown, 300)}"'


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error) or type(error).__name__
