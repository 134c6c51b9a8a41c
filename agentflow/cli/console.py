"""Where output goes: results to stdout, talk to stderr; colour and glyphs only where they can be read.

Nothing else in the project writes to a terminal: what people see passes here, and `shown.render` cleans it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol, TextIO

from agentflow.cli.format import to_ascii
from agentflow.cli.shown import clean, cleaned_lines, made, render, safe_json
from agentflow.cli.streams import standard
from agentflow.cli.writer import Output

Mode = Literal["text", "json", "jsonl"]
UNKNOWN_SIZE = (80, 24)

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


class Sink(Protocol):
    """What a console writes to."""

    def write(self, text: str, /) -> object:
        """Take a text."""
        ...

    def flush(self) -> object:
        """See that it is on its way."""
        ...


@dataclass(slots=True)
class Console:
    """The two streams of one command, and what may be written to each."""

    out: Sink
    err: Sink
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

    def rendered(self, text: str) -> str:
        """Return a text as a stream gets it: clean, with our colours, and with glyphs that the terminal has."""
        return render(text) if self.unicode else render(text, to_ascii)

    def result(self, text: str) -> None:
        """Write a line of the result to stdout."""
        self.lines([text])

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines of the result to stdout."""
        for line in lines:
            self.out.write(self.rendered(line) + "\n")
        self.out.flush()

    def data(self, value: object) -> None:
        """Write the result as one JSON document."""
        self._json(self.out, value, 2 if self.out_terminal else None)

    def line(self, value: object) -> None:
        """Write one line of a JSON stream, or a result that is JSON for people too."""
        self._json(self.out, value)

    def document(self, value: object) -> None:
        """Write a result that is JSON for people too, laid out."""
        self._json(self.out, value, 2)

    def say(self, text: str = "") -> None:
        """Write a line of talk to stderr, unless asked to be quiet."""
        if not self.quiet:
            self.tell(text)

    def tell(self, text: str) -> None:
        """Write a line to stderr that is told even to who asked for quiet: an error, or how to go on."""
        self.put(text + made("\n"))

    def tell_data(self, value: object) -> None:
        """Write one line of JSON to stderr."""
        self._json(self.err, value)

    def put(self, text: str) -> None:
        """Write a piece of a line to stderr: a prompt, or what is drawn over."""
        self.err.write(self.rendered(text))
        self.err.flush()

    def address(self, url: str) -> None:
        """Write an address to stderr that has to work when it is opened.

        The client's id stands in it, which every browser shows, and which a config may have among its secrets.
        """
        self.err.write(f"  {clean(url)}\n")
        self.err.flush()

    def paint(self, text: str, style: str | None, *, out: bool = False) -> str:
        """Return a text in a style, where the stream has colour."""
        if style is None or style not in _CODES or not (self.out_colour if out else self.err_colour):
            return text
        return made(f"\x1b[{_CODES[style]}m") + text + made("\x1b[0m")

    def page(self, lines: Iterable[str]) -> None:
        """Write a long result, through a pager when stdout is a terminal that can't hold it."""
        rows = list(lines)
        command = os.environ.get("PAGER") or ("less -FRX" if shutil.which("less") else "")
        long = self.out_terminal and self.in_terminal and len(rows) >= self.height
        if not (long and command and self._paged(command, rows)):
            self.lines(rows)

    def _paged(self, command: str, rows: Sequence[str]) -> bool:
        import shlex  # noqa: PLC0415  rarely needed
        import subprocess  # noqa: PLC0415  the person's own pager

        text = "".join(f"{self.rendered(row)}\n" for row in rows)
        try:
            subprocess.run(shlex.split(command), input=text, text=True, check=False, stdout=handle(self.out))  # noqa: S603
        except (OSError, ValueError):
            return False
        return True

    def _json(self, stream: Sink, value: object, indent: int | None = None) -> None:
        stream.write(safe_json(json.dumps(value, ensure_ascii=not self.unicode, indent=indent)) + "\n")
        stream.flush()


def handle(stream: Sink) -> int | None:
    """Return the file descriptor of a stream, for a program that goes on writing there; None: its own is the same."""
    if not isinstance(stream, Output):
        return None
    stream.drain(None)
    return stream.fileno()


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
    out, err = standard()
    size = shutil.get_terminal_size(_size(err, out))
    out_terminal, err_terminal = _terminal(out), _terminal(err)
    return Console(
        out=out,
        err=err,
        out_terminal=out_terminal,
        err_terminal=err_terminal,
        in_terminal=_terminal(sys.stdin),
        out_colour=_colour(out_terminal, no_color, env),
        err_colour=_colour(err_terminal, no_color, env),
        unicode=_unicode(out) and _unicode(err),
        width=size.columns,
        height=size.lines,
        mode=mode,
        quiet=quiet,
    )


def _size(*streams: Output | TextIO) -> tuple[int, int]:
    """Return columns and lines of the first stream that is a terminal: file descriptor 1 may lead elsewhere by now."""
    for stream in streams:
        with suppress(OSError, ValueError):  # no terminal, no file at all, closed
            size = os.get_terminal_size(stream.fileno())
            if size.columns and size.lines:
                return size
    return UNKNOWN_SIZE


def _terminal(stream: Output | TextIO | None) -> bool:
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


def _unicode(stream: Output | TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig")


def printable(lines: Iterable[str]) -> list[str]:
    """Clean lines that hold values from outside. Their own line breaks stay, indented: none makes a line of ours."""
    rows: list[str] = []
    for line in lines:
        first, *more = cleaned_lines(line)
        indent = " " * (len(first) - len(first.lstrip(" ")) + 2)
        rows += [first, *(indent + row for row in more)]
    return rows
