"""Plays what the pages show as sessions in a terminal: `python docs/sessions.py PAGE…`; `--write` puts in what comes.

A page is one folder. A block whose first line is `# NAME` is that file. Of a `console` block each line after `$ ` is
run on a real terminal, and has to print what stands below it; `…` is anything, and ids, times and durations may differ.
A comment before the block says what a reader would do: `<!-- session {"keys": [["text", "\\r"]]} -->` types when a text
is seen (a regular expression), `{"until": "text"}` leaves the command running, `{"kill": "text"}` kills it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"(?:^<!-- session (\{[^\n]*\}) -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:#|//) ([\w./-]+\.\w+)$")
COLUMNS, ROWS = 120, 50
PORT = "8745"
PATIENCE = 60.0
_LOOSE = (
    (r"\b[0-9a-hjkmnp-tv-z]{26}\b", r"[0-9a-hjkmnp-tv-z]{26}"),
    (r"\b[0-9a-hjkmnp-tv-z]{6}\b", r"[0-9a-hjkmnp-tv-z]{6,}"),
    (r"\d{4}-\d\d-\d\d(?:T[\d:.]+Z?)?", r"\\d{4}-\\d\\d-\\d\\d(?:T[\\d:.]+Z?)?"),
    (r"\b\d\d:\d\d:\d\d\b", r"\\d\\d:\\d\\d:\\d\\d"),
    (r"(?<![\w.])\d+(?:\.\d+)? ?(?:ms|s|m \d+s|m)\b", r"\\d+(?:\\.\\d+)? ?(?:ms|s|m \\d+s|m)"),
    (r"\b\d+ kB\b", r"\\d+ kB"),
)
"""What may differ: how it is recognised in a page, and what may stand there instead."""


@dataclass(frozen=True)
class Command:
    """One command of a page, with what it is said to print."""

    line: str
    printed: str
    told: Mapping[str, Any]

    def fits(self, shown: str) -> bool:
        """Tell whether it has printed that."""
        return re.fullmatch(_pattern(self.printed), shown.strip(), re.DOTALL) is not None


def _pattern(printed: str) -> str:
    marks: list[str] = []

    def keep(instead: str) -> str:
        marks.append(instead)
        return f"\0{len(marks) - 1}\0"

    text = printed.strip()
    for found, instead in _LOOSE:
        text = re.sub(found, lambda _, instead=instead: keep(instead.replace("\\\\", "\\")), text)
    text = re.sub(r"\s*…\s*", lambda _: keep(".*"), text)
    text = re.sub(r"\s+", lambda _: keep(r"\s+"), text)
    return re.sub("\0(\\d+)\0", lambda found: marks[int(found[1])], re.escape(text).replace("\\\0", "\0"))


@dataclass
class Session:
    """One page that is played: its folder, and the commands that are still running."""

    folder: Path
    port: str
    _running: list[Any] = field(default_factory=list[Any])

    def write(self, name: str, text: str) -> None:
        """Write a file that the page shows."""
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text.replace(PORT, self.port), encoding="utf-8")

    def run(self, command: Command) -> str:
        """Run a command and return what its terminal shows at the end."""
        pexpect: Any = importlib.import_module("pexpect")  # untyped
        line = re.sub(r"^agentflow serve\b", f"agentflow serve --port {self.port}", command.line)
        environ = {
            **{name: value for name, value in os.environ.items() if not re.match("AGENTFLOW|NO_COLOR|CI$", name)},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "TERM": "xterm",
            "COLUMNS": str(COLUMNS), "LINES": str(ROWS),  # a terminal is told its size late
            "HOME": str(self.folder),
        }  # fmt: skip
        child = pexpect.spawn(
            "/bin/bash", ["--norc", "-c", line.replace(PORT, self.port)], cwd=str(self.folder), env=environ,
            encoding="utf-8", dimensions=(ROWS, COLUMNS),
        )  # fmt: skip
        shown = self._follow(child, command.told)
        return shown.replace(str(self.folder), "~").replace(self.port, PORT)

    def _follow(self, child: Any, told: Mapping[str, Any]) -> str:
        pexpect, pyte = importlib.import_module("pexpect"), importlib.import_module("pyte")
        screen: Any = pyte.Screen(COLUMNS, 400)
        stream: Any = pyte.Stream(screen)
        keys: list[list[str]] = [list(pair) for pair in told.get("keys", ())]
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                stream.feed(child.read_nonblocking(size=65536, timeout=0.1))
            except pexpect.TIMEOUT:
                if keys and re.search(keys[0][0], _text(screen)):
                    child.send(keys.pop(0)[1])
            except pexpect.EOF:
                child.close()
                return _text(screen)
            if "until" in told and re.search(told["until"], _text(screen)):
                self._running.append(child)
                return _text(screen)
            if "kill" in told and re.search(told["kill"], _text(screen)):
                os.killpg(os.getpgid(child.pid), signal.SIGKILL)
                child.close()
                return _text(screen)
        child.close(force=True)
        return f"{_text(screen)}\n(a minute has passed, and it hasn't ended)"

    def close(self) -> None:
        """End what is still running."""
        for child in self._running:
            child.close(force=True)


def _text(screen: Any) -> str:
    return "\n".join(line.rstrip() for line in screen.display).rstrip()


def commands_of(text: str, told: str | None) -> Iterator[Command]:
    """Yield the commands of a block."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, printed = part.partition("\n")
        while line.endswith("\\"):
            more, _, printed = printed.partition("\n")
            line = f"{line[:-1]}{more.removeprefix('> ').strip()}"
        yield Command(line, printed, json.loads(told) if told else {})


def play(page: Path, *, write: bool = False) -> list[str]:
    """Play a page; returns where it differs, or writes what is printed into it."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        session = Session(Path(temporary), _free_port())

        def block(found: re.Match[str]) -> str:
            told, language, text = found[1], found[2], found[3]
            name = FILE.match(text.partition("\n")[0])
            if language != "console":
                if name is not None:
                    session.write(name[1], text.removeprefix(f"// {name[1]}\n"))
                return found[0]
            parts: list[str] = []
            for command in commands_of(text, told):
                shown = session.run(command)
                fits = command.fits(shown)
                if not fits:
                    wrong.append(f"$ {command.line}\n{shown}\n--- the page has:\n{command.printed}")
                kept = command.printed.strip() if fits or command.printed.startswith("…") else shown
                parts.append(f"$ {command.line}\n{kept}".rstrip() + "\n")
            if write:
                return found[0].replace(text, "\n".join(parts))
            return found[0]

        try:
            new = BLOCK.sub(block, page.read_text(encoding="utf-8"))
        finally:
            session.close()
    if write:
        page.write_text(new, encoding="utf-8")
    return wrong


def _free_port() -> str:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return str(tried.getsockname()[1])


def main() -> int:
    """Play pages, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="put what is printed into the pages")
    given = parser.parse_args()
    failed = 0
    for page in given.pages:
        wrong = play(page, write=given.write)
        failed += len(wrong)
        print("\n\n".join(wrong), file=sys.stderr)
    return 1 if failed and not given.write else 0


if __name__ == "__main__":
    sys.exit(main())
