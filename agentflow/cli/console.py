"""Where output goes: results to stdout, talk to stderr; colour and glyphs only where they can be read."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from agentflow.cli.format import clean, to_ascii

Mode = Literal["text", "json", "jsonl"]

_CODES: Mapping[str, str] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
    "error": "1;31",
    "warning": "1;33",
}


@dataclass(slots=True)
class Console:
    """The two streams of one command, and what may be written to each."""

    out: TextIO
    err: TextIO
    out_terminal: bool = False
    err_terminal: bool = False
    in_terminal: bool = False
    out_colour: bool = False
    err_colour: bool = False
    unicode: bool = True
    width: int = 80
    height: int = 24
    mode: Mode = "text"
    quiet: bool = False

    @property
    def asks(self) -> bool:
        """Whether questions may be asked here."""
        return self.in_terminal and self.err_terminal and self.mode == "text"

    @property
    def live(self) -> bool:
        """Whether a part of the screen may be redrawn."""
        return self.err_terminal and self.err_colour and not self.quiet and self.mode == "text"

    def fit(self, text: str) -> str:
        """Return a text with glyphs that the terminal has."""
        return text if self.unicode else to_ascii(text)

    def result(self, text: str) -> None:
        """Write a line of the result to stdout."""
        self.out.write(self.fit(text) + "\n")
        self.out.flush()

    def data(self, value: object) -> None:
        """Write the result as one JSON document."""
        self.result(json.dumps(value, ensure_ascii=not self.unicode, indent=2 if self.out_terminal else None))

    def line(self, value: object) -> None:
        """Write one line of a JSON stream."""
        self.result(json.dumps(value, ensure_ascii=not self.unicode))

    def say(self, text: str = "") -> None:
        """Write a line of talk to stderr, unless asked to be quiet."""
        if not self.quiet:
            self.tell(text)

    def tell(self, text: str) -> None:
        """Write a line to stderr that is told even to who asked for quiet: an error, or how to go on."""
        self.err.write(self.fit(text) + "\n")
        self.err.flush()

    def paint(self, text: str, style: str | None, *, out: bool = False) -> str:
        """Return a text in a style, where the stream has colour."""
        if style is None or style not in _CODES or not (self.out_colour if out else self.err_colour):
            return text
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m"

    def page(self, lines: Iterable[str]) -> None:
        """Write a long result, through a pager when stdout is a terminal that can't hold it."""
        rows = list(lines)
        command = os.environ.get("PAGER") or ("less -FRX" if shutil.which("less") else "")
        if not (self.out_terminal and self.in_terminal and command and len(rows) >= self.height):
            for row in rows:
                self.out.write(self.fit(row) + "\n")
            self.out.flush()
            return
        import shlex  # noqa: PLC0415  rarely needed
        import subprocess  # noqa: PLC0415  the person's own pager

        try:
            subprocess.run(shlex.split(command), input="\n".join(rows) + "\n", text=True, check=False)  # noqa: S603
        except (OSError, ValueError):
            for row in rows:
                self.out.write(row + "\n")


def make_console(
    *, mode: Mode = "text", quiet: bool = False, no_color: bool = False, environ: Mapping[str, str] | None = None
) -> Console:
    """Look at the streams and the environment.

    Args:
        mode: text for people, or JSON.
        quiet: only the result.
        no_color: what `--no-color` says.
        environ: environment; default: the process's.
    """
    env = os.environ if environ is None else environ
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace" if stream is sys.stderr else "replace")
    size = shutil.get_terminal_size()
    out_terminal, err_terminal = _terminal(sys.stdout), _terminal(sys.stderr)
    return Console(
        out=sys.stdout,
        err=sys.stderr,
        out_terminal=out_terminal,
        err_terminal=err_terminal,
        in_terminal=_terminal(sys.stdin),
        out_colour=_colour(out_terminal, no_color, env),
        err_colour=_colour(err_terminal, no_color, env),
        unicode=_unicode(sys.stdout) and _unicode(sys.stderr),
        width=size.columns,
        height=size.lines,
        mode=mode,
        quiet=quiet,
    )


def _terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _colour(terminal: bool, no_color: bool, env: Mapping[str, str]) -> bool:
    if no_color or env.get("NO_COLOR"):
        return False
    if env.get("FORCE_COLOR") not in (None, "", "0"):
        return True
    return terminal and env.get("TERM", "") not in ("dumb", "")


def _unicode(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig")


def printable(lines: Iterable[str]) -> list[str]:
    """Clean lines that hold values from outside, keeping their line breaks."""
    return [clean(row) for line in lines for row in line.split("\n")]
