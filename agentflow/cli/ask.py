"""A form in the terminal: questions one after another, asked again until they fit."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import anyio

from agentflow.cli.console import Console
from agentflow.cli.forms import (
    Invalid,
    Question,
    assemble,
    choice_shown,
    default_shown,
    fields_of,
    matching,
    parse,
    questions,
    template,
)
from agentflow.cli.keys import Key, Keyboard, LineEdit
from agentflow.cli.shown import clean, made
from agentflow.cli.tables import cells, pad
from agentflow.definition.form_parts import ruled
from agentflow.definition.json_schema import Fault
from agentflow.definition.samples import check
from agentflow.steps.unset import UNSET

LISTED = 12
"""More choices than this are typed, not listed."""
_ESC_PAUSE = 0.05


class Left(Exception):
    """The person left the form without an answer."""


class Form:
    """One form on the terminal of this process."""

    def __init__(self, console: Console, schema: object, default: Any = UNSET) -> None:
        """Make the form of a schema.

        Args:
            console: where to ask.
            schema: JSON Schema of the answer.
            default: what is taken when nobody answers: prefills the form.
        """
        self.console = console
        self.schema = schema
        self.asked = questions(schema, default)
        self.width = max([11, *(cells(_name(q)) + 3 for q in _lines(self.asked))])
        self._keys: AsyncIterator[tuple[Key, str]] | None = None

    async def fill(self) -> Any:
        """Ask everything and return the answer.

        Raises:
            Left: Esc, or the end of the input.
        """
        values: dict[str, Any] = {}
        with raw_terminal():
            self._keys = _keys()
            todo: Sequence[Question] = self.asked
            while True:
                for question in todo:
                    forbidden, needed = ruled(self.schema, {name: v for name, v in values.items() if v is not UNSET})
                    if question.name in forbidden:
                        values[question.name] = UNSET
                    else:
                        asked = replace(question, required=True) if question.name in needed else question
                        values[question.name] = await self._ask(asked)
                answer = assemble(self.asked, values)
                issues = check(self.schema, answer)
                if not issues:
                    return answer
                todo = self._wrong(issues)

    def _wrong(self, issues: Sequence[Fault]) -> Sequence[Question]:
        for issue in issues:
            path = ".".join(str(part) for part in issue.path)
            self._complain(f"{path}: {issue.message}" if path else issue.message)
        names = {str(issue.path[0]) for issue in issues if issue.path}
        return [q for q in self.asked if q.name in names] or self.asked

    async def _ask(self, question: Question) -> Any:
        if question.kind == "constant":
            return question.default
        if question.kind == "fields":
            return await self._ask_fields(question)
        while True:
            try:
                if question.kind == "choice" and self.console.live and len(question.choices) <= LISTED:
                    return await self._choose(question)
                text = await self._line(question)
                if question.kind == "edit" and text.strip() == ("" if question.required else "e"):
                    text = await self._edit(question)
                return parse(question, text)
            except Invalid as error:
                self._complain(str(error))

    async def _ask_fields(self, question: Question) -> Any:
        """Ask for an object field by field, until it is one that the schema takes."""
        inner = fields_of(question)
        if question.required and len(inner) == 1:  # nothing would be left
            inner = [replace(inner[0], required=True)]
        while True:
            value = assemble(inner, {q.name: await self._ask(_inside(question, q)) for q in inner})
            if not question.required and not value:
                return UNSET
            issues = check(question.schema, value)
            if not issues:
                return value
            self._wrong(issues)

    def _complain(self, text: str) -> None:
        self.console.tell(f"  {' ' * self.width}{self.console.paint('✘', 'red')} {text}")

    def _head(self, question: Question) -> str:
        return f"  {self.console.paint(pad(_name(question), self.width), 'bold')}"

    async def _line(self, question: Question) -> str:
        self.console.put(self._head(question) + prompt_text(question))
        edit = LineEdit()
        async for key, char in self._source():
            before = edit.text
            done = edit.apply(key, char)
            if done == "leave":
                self.console.tell("")
                raise Left
            if done == "enter":
                self.console.tell("")
                return edit.text
            if not question.secret:
                self._echo(before, edit.text)
        self.console.tell("")
        raise Left

    def _echo(self, before: str, after: str) -> None:
        if after.startswith(before):
            self.console.put(after[len(before) :])
        else:
            gone = cells(clean(before[len(after) :]))
            self.console.put(made("\b" * gone) + " " * gone + made("\b" * gone))

    async def _choose(self, question: Question) -> Any:
        self.console.tell(f"{self._head(question)}{clean(question.label)}".rstrip())
        at = next(
            (n for n, c in enumerate(question.choices) if question.has_default and c.value == question.default), 0
        )
        edit = LineEdit()
        self._options(question, at)
        async for key, char in self._source():
            if key in ("up", "down"):
                at = (at + (1 if key == "down" else -1)) % len(question.choices)
                edit = LineEdit()
            else:
                done = edit.apply(key, char)
                if done == "leave":
                    raise Left
                if done == "enter" and edit.text and not matching(question, edit.text):
                    raise Invalid(f'"{edit.text}" is not among the choices')
                if done == "enter":
                    return question.choices[at].value
                near = matching(question, edit.text) if edit.text else []
                at = question.choices.index(near[0]) if near else at
            self.console.put(made(f"\x1b[{len(question.choices)}A"))
            self._options(question, at)
        raise Left

    def _options(self, question: Question, at: int) -> None:
        for number, choice in enumerate(question.choices):
            mark = self.console.paint("›", "cyan") if number == at else " "
            text = clean(choice_shown(choice))
            text = self.console.paint(text, "bold") if number == at else text
            self.console.tell(made("\r\x1b[2K") + f"  {' ' * self.width}{mark} {text}")

    async def _edit(self, question: Question) -> str:
        text = await anyio.to_thread.run_sync(edit_text, template(question))
        if text is None:
            raise Invalid("no editor could be started; set EDITOR, or type JSON here")
        return text

    def _source(self) -> AsyncIterator[tuple[Key, str]]:
        keys = self._keys
        if keys is None:
            raise Left
        return keys


def _inside(question: Question, field: Question) -> Question:
    """Return the question for a field of an object, under a name that says whose it is."""
    return replace(field, name=f"{question.name}.{field.name}" if question.name else field.name)


def _lines(asked: Sequence[Question]) -> list[Question]:
    return [*asked, *(_inside(question, field) for question in asked for field in fields_of(question))]


def _name(question: Question) -> str:
    return clean(question.name) or "answer"


def prompt_text(question: Question) -> str:
    """Return what stands before the cursor, after the question's name."""
    parts = [clean(question.label)] if question.label else []
    if question.kind == "choice":
        parts.append(f"({', '.join(clean(choice_shown(c)) for c in question.choices[:LISTED])})")
    if question.kind == "boolean":
        parts.append("yes or no")
    if question.kind == "edit":
        key = "Enter" if question.required else "e"
        parts.append(f"{key} opens your editor, or type JSON")
    if question.has_default and not question.secret:
        parts.append(f"[{clean(default_shown(question))}]")
    elif not question.required:
        parts.append("(empty to leave out)")
    return "  ".join(parts) + ": "


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


async def _keys() -> AsyncIterator[tuple[Key, str]]:
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


async def yes_or_no(console: Console, question: str) -> bool:
    """Ask for a yes; Esc and Enter mean no."""
    form = Form(console, {"type": "object", "properties": {question: {"type": "boolean", "default": False}}})
    try:
        return bool((await form.fill()).get(question))
    except Left:
        return False
