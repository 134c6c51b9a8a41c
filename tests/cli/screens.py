"""What stands on a terminal in the end: text with the control sequences that our commands write, put in its place."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect

_PART = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+|\x1b")
LIMIT = 60
ROWS = 40


@dataclass(frozen=True, slots=True)
class Seen:
    """What a command left on a terminal."""

    code: int
    raw: str
    lines: list[str]


def typed(
    command: Sequence[str], keys: Sequence[tuple[str, str]], *, cwd: Path, environ: dict[str, str], columns: int
) -> Seen:
    """Run a command on a pseudo-terminal, and type what it asks for.

    Args:
        command: program and arguments.
        keys: what is waited for, and typed then.
        cwd: its folder.
        environ: its environment; size and kind of the terminal are set.
        columns: how wide the terminal is.
    """
    env = {name: value for name, value in environ.items() if name not in ("COLUMNS", "LINES")}
    spawn: Any = pexpect.spawn
    child = spawn(
        command[0], list(command[1:]), cwd=str(cwd), env=env, encoding="utf-8", timeout=LIMIT,
        dimensions=(ROWS, columns),
    )  # fmt: skip
    raw = ""
    try:
        for awaited, typing in keys:
            child.expect(awaited)
            raw += child.before + child.after
            child.send(typing)
        child.expect(pexpect.EOF)
        raw += child.before
        if child.isalive():
            child.wait()
    finally:
        child.close(force=True)
    return Seen(child.exitstatus, raw, screen(raw))


def screen(raw: str) -> list[str]:
    """Return the lines that a terminal of endless height shows."""
    lines, row, column = [""], 0, 0
    for found in _PART.finditer(raw):
        part, action = found[0], found[2]
        count = int(found[1]) if (found[1] or "").isdigit() else 1
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
        elif action == "A":
            row = max(row - count, 0)
        elif action in ("J", "K"):
            lines[row] = lines[row][:column]
            del lines[row + 1 if action == "J" else len(lines) :]
        elif action == "G":
            column = count - 1
        elif action is None and part != "\x1b":
            lines[row] = lines[row].ljust(column)[:column] + part + lines[row][column + len(part) :]
            column += len(part)
        elif action not in ("m", "h", "l", None):
            raise AssertionError(f"a sequence that this screen doesn't know: {part!r}")
        lines += [""] * (row + 1 - len(lines))
    return [line.rstrip() for line in lines]


def terminals() -> bool:
    """Whether there are pseudo-terminals here."""
    return sys.platform != "win32"
