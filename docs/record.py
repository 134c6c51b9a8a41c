"""Records the README's example as docs/assets/run.svg: `make recording`; with `--check` tells whether that still holds.

Two real terminals run the real commands. Only what is typed is played, and long pauses are shortened. What is recorded
differs each time (ids, times), so the check looks at what has to be seen, not at bytes.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from screencast import Line, Moment, Span, Window, draw

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docs" / "assets" / "run.svg"
WINDOWS = (Window("one terminal", 78, 21), Window("another terminal", 78, 7))
TITLE = "A run that fans out, tries again, asks somebody, and is answered from another terminal"
DESCRIPTION = (
    "In one terminal `agentflow run report` asks three regions at once; each fails and is tried again, then all have "
    "answered. The run waits for an answer to: Send the report? In another terminal `agentflow waits` lists the "
    "question, and `agentflow waits answer` answers it. The first terminal goes on at once, completes the run and "
    "prints its output."
)
LONGEST_PAUSE, TYPING, HOLD = 0.5, 0.03, 2.5
SEEN = (
    "agentflow run report", "retrying", "2 attempts", "waits for you", "agentflow waits", "decision=send", "completed",
)  # fmt: skip
"""What the recording has to show."""


def example() -> str:
    """Return the config that the README shows."""
    found = re.search(r"^```yaml\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    return found[1] if found is not None else ""


class Recorder:
    """Terminals, what they have shown, and a clock that long pauses don't move far."""

    def __init__(self, folder: Path) -> None:
        """Record in a folder."""
        pyte: Any = importlib.import_module("pyte")  # untyped
        self._screens: list[Any] = [pyte.Screen(window.columns, window.rows) for window in WINDOWS]
        self._streams: list[Any] = [pyte.Stream(screen) for screen in self._screens]
        self._children: dict[int, Any] = {}
        self._folder = folder
        self._clock, self._seen_at = 0.0, time.monotonic()
        self.moments: list[Moment] = []
        for stream in self._streams:
            stream.feed("$ ")
        self.note()

    def note(self, passed: float = 0.0) -> None:
        """Keep what is shown now."""
        self._clock = round(self._clock + passed, 3)
        frames = [[line_of(screen, row) for row in range(screen.lines)] for screen in self._screens]
        if self.moments and self.moments[-1].frames == frames:
            return
        if self.moments and self.moments[-1].at == self._clock:
            self.moments.pop()
        self.moments.append(Moment(self._clock, frames))

    def command(self, terminal: int, text: str) -> None:
        """Type a command into a terminal and start it there."""
        pexpect: Any = importlib.import_module("pexpect")  # untyped
        for character in text:
            self._streams[terminal].feed(character)
            self.note(TYPING)
        self._streams[terminal].feed("\r\n")
        self.note(0.2)
        program, *words = text.split()
        place, size = str(Path(sys.executable).with_name(program)), (WINDOWS[terminal].rows, WINDOWS[terminal].columns)
        environ = {name: value for name, value in os.environ.items() if not re.match("AGENTFLOW|NO_COLOR|CI$", name)}
        environ |= {"TERM": "xterm", "LINES": str(size[0]), "COLUMNS": str(size[1])}
        self._children[terminal] = pexpect.spawn(
            place, words, cwd=str(self._folder), encoding="utf-8", dimensions=size, env=environ
        )
        self._seen_at = time.monotonic()

    def until(self, done: Callable[[], bool]) -> None:
        """Let the commands work until something is so."""
        end = time.monotonic() + 60
        while not done():
            if time.monotonic() > end:
                raise SystemExit("nothing to see for a minute:\n" + "\n".join(map(self.text, range(len(WINDOWS)))))
            for terminal in list(self._children):
                self._read(terminal)

    def _read(self, terminal: int) -> None:
        pexpect: Any = importlib.import_module("pexpect")  # untyped
        child = self._children[terminal]
        try:
            said = child.read_nonblocking(size=4096, timeout=0.05)
        except pexpect.TIMEOUT:
            return
        except pexpect.EOF:
            child.close()
            del self._children[terminal]
            said = "$ "
        now = time.monotonic()
        self._streams[terminal].feed(said)
        self.note(min(now - self._seen_at, LONGEST_PAUSE))
        self._seen_at = now

    def pause(self, seconds: float) -> None:
        """Let what is shown be read."""
        self._clock += seconds

    def ended(self, *terminals: int) -> Callable[[], bool]:
        """Tell whether the commands of terminals have ended."""
        return lambda: not self._children.keys() & set(terminals)

    def text(self, terminal: int) -> str:
        """What a terminal shows."""
        return "\n".join(self._screens[terminal].display)

    def end(self) -> float:
        """When the recording ends, in seconds."""
        return round(self._clock + HOLD, 1)


def line_of(screen: Any, row: int) -> Line:
    """Return a line of a terminal in parts that look alike."""
    spans: list[Span] = []
    cells = [screen.buffer[row][column] for column in range(screen.columns)]
    for column, cell in enumerate(cells):
        color, bold = ("default" if cell.fg not in COLORS else cell.fg), bool(cell.bold)
        text = cell.data
        before = spans[-1] if spans else None
        if before and (before.color, before.bold) == (color, bold) and before.text.isascii() and text.isascii():
            spans[-1] = before._replace(text=before.text + text)
        elif text:
            spans.append(Span(column, text, color, bold))
    while spans and not spans[-1].text.strip():
        spans.pop()
    return tuple(span._replace(text=span.text.rstrip()) for span in spans if span.text.strip())


COLORS = {"red", "green", "brown", "blue", "magenta", "cyan"}


def record() -> str:
    """Run the example and return the SVG."""
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / "agentflow.yaml").write_text(example(), encoding="utf-8")
        recorder = Recorder(Path(temporary))
        recorder.command(0, "agentflow run report")
        recorder.until(lambda: "drop" in recorder.text(0))
        recorder.pause(0.6)
        recorder.command(1, "agentflow waits")
        recorder.until(recorder.ended(1))
        wait = re.findall(r"^(\w{6,})  input", recorder.text(1), re.MULTILINE)[0]
        recorder.pause(0.6)
        recorder.command(1, f"agentflow waits answer {wait} --set decision=send")
        recorder.until(recorder.ended(0, 1))
    return draw(TITLE, DESCRIPTION, WINDOWS, recorder.moments, recorder.end())


def problems(svg: str) -> list[str]:
    """Return what the recording lacks."""
    root = ET.fromstring(svg)  # noqa: S314  our own file
    space = "{http://www.w3.org/2000/svg}"
    lines = ["".join(text.text or "" for text in group.iter(f"{space}text")) for group in root.iter(f"{space}g")]
    shown = "\n".join(lines).replace(" ", "")
    asked = re.findall(r"\w[\w ]*\?", example().split("message:")[1])
    found = [f"it doesn't show: {text}" for text in (*SEEN, *asked[:1]) if text.replace(" ", "") not in shown]
    for part, name in (("title", TITLE), ("desc", DESCRIPTION)):
        if (root.findtext(f"{space}{part}") or "") != name:
            found.append(f"its {part} isn't that of docs/record.py")
    if "prefers-color-scheme:dark" not in svg:
        found.append("it has no colours for dark pages")
    return found


def main() -> int:
    """Record or check, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only tell what the recording lacks")
    parser.add_argument("--file", type=Path, default=FILE, help="where it is")
    given = parser.parse_args()
    if not given.check:
        given.file.parent.mkdir(exist_ok=True)
        given.file.write_text(record(), encoding="utf-8")
    lacking = problems(given.file.read_text(encoding="utf-8"))
    for one in lacking:
        print(f"{given.file.name}: {one}; make recording", file=sys.stderr)
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
