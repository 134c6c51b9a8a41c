"""What a form in the terminal is filled in with: a typed line, a choice among some, boxes to tick."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio

from agentflow.cli.console import Console
from agentflow.cli.forms import Choice, Invalid, Question, choice_shown, early, matching
from agentflow.cli.keys import Key, Keyboard, LineEdit
from agentflow.cli.shown import bare, clean, made
from agentflow.cli.tables import cells
from agentflow.steps.unset import UNSET

Keys = AsyncIterator[tuple[Key, str]]
_ESC_PAUSE = 0.05
_LINES: Final = frozenset({"list", "long"})
"""Kinds of questions that are answered in several lines."""
ABSENT = Choice(UNSET, "(leave out)")
"""What is chosen where nothing is to be given."""


class Left(Exception):
    """The person left the form without an answer."""


class AsJson(Exception):
    """The person wants to write the whole answer as JSON."""


@dataclass(slots=True)
class Widgets:
    """Asks on the terminal of this process; raises Left on Esc and at the end of the input, AsJson on Ctrl+X."""

    console: Console
    keys: Keys
    width: int
    """Columns of the names."""

    async def line(self, question: Question, before: str) -> str:
        """Ask for a line of text; what can't become right any more is told while it is typed.

        Args:
            question: what is asked.
            before: what stands before the cursor.
        """
        self.console.put(before)
        edit, start, hint = LineEdit(), cells(clean(bare(before))), ""
        while True:
            key, char = await self._key()
            if key == "break":
                key, char = ("enter", "") if question.kind in _LINES else ("text", " ")
            shown, stood = edit.text, edit.at
            done = edit.apply(key, char)
            self._unhint(hint)
            if done == "leave":
                self.console.tell("")
                raise Left
            if done == "enter":
                self.console.tell("")
                return edit.text
            if key == "json":
                self.console.tell("")
                raise AsJson
            self._echo((_masked(shown, question), stood), (_masked(edit.text, question), edit.at))
            behind = edit.at == len(edit.text)
            hint = self._hint(early(question, edit.text), start + cells(clean(edit.text))) if behind else ""

    async def choose(self, question: Question, choices: Sequence[Choice], at: int) -> Any:
        """Let one of some choices be chosen, with arrows or by the beginning of its name.

        Raises:
            Invalid: what was typed is none of them.
        """
        edit = LineEdit()
        self._options(choices, at, ())
        while True:
            key, char = await self._key()
            if key in ("up", "down"):
                at, edit = (at + (1 if key == "down" else -1)) % len(choices), LineEdit()
            elif key == "json":
                raise AsJson
            else:
                done = edit.apply(key, char)
                if done == "leave":
                    raise Left
                if done == "enter" and edit.text and not matching(question, edit.text):
                    raise Invalid(f'"{edit.text}" is not among the choices')
                if done == "enter":
                    return choices[at].value
                near = matching(question, edit.text) if edit.text else []
                at = choices.index(near[0]) if near else at
            self._again(choices, at, ())

    async def mark(self, question: Question, marked: Sequence[bool]) -> list[Any]:
        """Let any of some choices be marked with Space."""
        boxes, at, choices = list(marked), 0, question.choices
        self._options(choices, at, boxes)
        while True:
            key, char = await self._key()
            if key in ("up", "down"):
                at = (at + (1 if key == "down" else -1)) % len(choices)
            elif char == " ":
                boxes[at] = not boxes[at]
            elif key == "json":
                raise AsJson
            elif key == "enter":
                return [choice.value for choice, box in zip(choices, boxes, strict=True) if box]
            elif key in ("escape", "end"):
                raise Left
            elif key == "text":
                near = matching(question, char)
                at = choices.index(near[0]) if near else at
            self._again(choices, at, boxes)

    async def _key(self) -> tuple[Key, str]:
        async for key in self.keys:
            return key
        raise Left

    def _again(self, choices: Sequence[Choice], at: int, boxes: Sequence[bool]) -> None:
        self.console.put(made(f"\x1b[{len(choices)}A"))
        self._options(choices, at, boxes)

    def _options(self, choices: Sequence[Choice], at: int, boxes: Sequence[bool]) -> None:
        for number, choice in enumerate(choices):
            mark = self.console.paint("›", "cyan") if number == at else " "
            box = f"[{'x' if boxes[number] else ' '}] " if boxes else ""
            text = box + clean(choice_shown(choice))
            text = self.console.paint(text, "bold") if number == at else text
            self.console.tell(made("\r\x1b[2K") + f"  {' ' * self.width}{mark} {text}")

    def _echo(self, before: tuple[str, int], after: tuple[str, int]) -> None:
        """Draw a line as it is after a key, and put the cursor where it stands: (text, place) before and after."""
        (old, stood), (new, stands) = before, after
        if stood == len(old) and stands == len(new) and new.startswith(old):
            self.console.put(new[stood:])
            return
        near = min(stood, stands)
        same = next((n for n, (a, b) in enumerate(zip(old[:near], new[:near], strict=True)) if a != b), near)
        back, rest = cells(clean(old[same:stood])), clean(new[same:])
        blank = max(cells(clean(old[same:])) - cells(rest), 0)
        home = cells(clean(new[stands:])) + blank
        self.console.put(made("\b" * back) + rest + " " * blank + made("\b" * home))

    def _hint(self, text: str, column: int) -> str:
        """Show a remark behind the cursor, where there is room for it on the line."""
        shown = f"  ✘ {clean(text)}" if text else ""
        if not shown or not self.console.live or column + cells(shown) >= self.console.width:
            return ""
        self.console.put(self.console.paint(shown, "red") + made("\b" * cells(shown)))
        return shown

    def _unhint(self, hint: str) -> None:
        if hint:
            self.console.put(" " * cells(hint) + made("\b" * cells(hint)))


def _masked(text: str, question: Question) -> str:
    return "*" * len(text) if question.secret else text


@contextmanager
def told_pastes(console: Console) -> Generator[None]:
    """Have the terminal mark what is pasted while inside, so that its line ends aren't taken for Enter."""
    if console.live:
        console.put(made("\x1b[?2004h"))
    try:
        yield
    finally:
        if console.live:
            console.put(made("\x1b[?2004l"))


@contextmanager
def raw_terminal() -> Generator[None]:
    """Read keys one by one while inside; Ctrl+C stays a signal."""
    import termios  # noqa: PLC0415  not on every platform
    import tty  # noqa: PLC0415

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


async def typed_keys() -> Keys:
    """Yield keys of the terminal until its end."""
    fd = sys.stdin.fileno()
    keyboard = Keyboard()
    while True:
        if keyboard.waiting:
            with anyio.move_on_after(_ESC_PAUSE) as pause:
                await anyio.wait_readable(fd)
            if pause.cancelled_caught:
                for key in keyboard.flush():
                    yield key
                continue
        else:
            await anyio.wait_readable(fd)
        raw = os.read(fd, 1024)
        if not raw:
            return
        for key in keyboard.feed(raw):
            yield key


def edit_text(text: str) -> str | None:
    """Open a text in the person's editor; None when there is none."""
    import shlex  # noqa: PLC0415  rarely needed
    import subprocess  # noqa: PLC0415  the person's own editor
    import tempfile  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    command = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not command:
        return None
    with tempfile.TemporaryDirectory(prefix="agentflow-") as folder:
        path = Path(folder) / "answer.json"
        path.write_text(text, encoding="utf-8")
        try:
            done = subprocess.run([*shlex.split(command), str(path)], check=False)  # noqa: S603  asked for by the person
        except (OSError, ValueError):
            return None
        return path.read_text(encoding="utf-8") if done.returncode == 0 else None
