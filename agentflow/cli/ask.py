"""A form in the terminal: questions one after another, asked again until they fit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import anyio

from agentflow.cli.console import Console
from agentflow.cli.format import compact
from agentflow.cli.forms import (
    Choice,
    Invalid,
    Question,
    assemble,
    demands,
    fields_of,
    fitting,
    item_question,
    listed,
    parse,
    questions,
    template,
    told,
    variant_question,
    variants,
    whole_question,
)
from agentflow.cli.prompts import LISTED, key_hints, prompt_text
from agentflow.cli.shown import clean
from agentflow.cli.tables import cells, pad
from agentflow.cli.widgets import ABSENT, AsJson, Keys, Left, Widgets, edit_text, raw_terminal, told_pastes, typed_keys
from agentflow.data import is_array
from agentflow.definition.form_parts import ruled, shown
from agentflow.definition.json_schema import Fault
from agentflow.definition.samples import check
from agentflow.definition.typed_text import split
from agentflow.steps.unset import UNSET

__all__ = ("Form", "Left", "yes_or_no")

_NARROW, _WIDE = 11, 28
"""Columns that names take, at least and at most."""


class Form:
    """One form on the terminal of this process."""

    def __init__(self, console: Console, schema: object, default: Any = UNSET, keys: Keys | None = None) -> None:
        """Make the form of a schema.

        Args:
            console: where to ask.
            schema: JSON Schema of the answer.
            default: what is taken when nobody answers: prefills the form.
            keys: what is typed; default: on the terminal.
        """
        self.console = console
        self.schema = schema
        self.asked = questions(schema, default)
        names = [each.shown_name for question in self.asked for each in (question, *fields_of(question))]
        self.width = min(max([_NARROW, *(cells(clean(name)) + 3 for name in names)]), _WIDE)
        self._given = keys
        self._widgets: Widgets | None = None

    async def fill(self) -> Any:
        """Ask everything and return the answer.

        Raises:
            Left: Esc, or the end of the input.
        """
        with raw_terminal() if self._given is None else nullcontext():
            keys = typed_keys() if self._given is None else self._given
            self._widgets = Widgets(self.console, keys, self.width)
            if self.console.live and any(each.kind != "boolean" for each in self.asked):
                self.console.tell(f"  {self.console.paint(key_hints(self.asked), 'dim')}")
            with told_pastes(self.console):
                try:
                    return await self._object(self.asked, self.schema)
                except AsJson:
                    return await self._ask(whole_question(self.schema))

    async def _object(self, asked: Sequence[Question], schema: object, *, optional: bool = False) -> Any:
        """Ask for the fields of an object until together they are one that the schema takes."""
        values: dict[str, Any] = {}
        todo = asked
        while True:
            for question in todo:
                forbidden, needed = ruled(schema, {name: v for name, v in values.items() if v is not UNSET})
                if question.name in forbidden:
                    values[question.name] = UNSET
                else:
                    here = replace(question, required=True) if question.name in needed else question
                    values[question.name] = await self._ask(here)
            answer = assemble(asked, values)
            if optional and not answer:
                return UNSET
            issues = check(schema, answer)
            if not issues:
                return answer
            todo = self._wrong(issues, asked)

    def _wrong(self, issues: Sequence[Fault], asked: Sequence[Question]) -> Sequence[Question]:
        """Tell all that is wrong; returns the questions to ask again."""
        for issue in issues:
            self._complain(told(issue.path, issue.message))
        names = {str(issue.path[0]) for issue in issues if issue.path}
        return [q for q in asked if q.name in names] or asked

    async def _ask(self, question: Question) -> Any:
        """Ask a question until the answer fits it."""
        while True:
            try:
                return await self._asked(question)
            except Invalid as error:
                for text in error.args:
                    self._complain(str(text))

    async def _asked(self, question: Question) -> Any:
        kind = question.kind
        if kind == "constant":
            return question.default
        if kind == "shown":
            return self._show(question)
        if kind == "fields":
            return await self._fields(question)
        if kind == "variants":
            return await self._variant(question)
        if kind == "rows":
            return await self._rows(question)
        if kind in ("list", "long"):
            return await self._lines(question)
        if kind in ("choice", "checks") and self.console.live and 0 < len(question.choices) <= LISTED:
            return await (self._choice(question) if kind == "choice" else self._checks(question))
        text = await self._line(question, prompt_text(question))
        if kind in ("edit", "json") and text.strip() == ("" if question.required and not question.nullable else "e"):
            text = await self._edit(question)
        return parse(question, text)

    def _show(self, question: Question) -> Any:
        if question.has_default:
            value = "" if question.secret else clean(shown(question.default))
            self.console.tell(self._head(question) + "  ".join(part for part in (question.label, value) if part))
        return question.default

    async def _fields(self, question: Question) -> Any:
        inner = fields_of(question)
        if question.required and len(inner) == 1:  # nothing would be left
            inner = [replace(inner[0], required=True)]
        if not question.required and demands(question) and not await self._yes(question, "fill it in?"):
            return UNSET
        return await self._object(inner, question.schema, optional=not question.required)

    async def _variant(self, question: Question) -> Any:
        found, at = variants(question)
        labels = [each.label for each in found]
        unique = len(set(labels)) == len(labels)
        names = labels if unique else [f"{label} {number}" for number, label in enumerate(labels, 1)]
        first = [ABSENT] if not question.required and not question.has_default else []
        of = replace(
            question, kind="choice", choices=(*first, *(Choice(name, name) for name in names)),
            default=names[at] if question.has_default else UNSET,
        )  # fmt: skip
        picked = await self._pick(of)
        return UNSET if picked is UNSET else await self._ask(variant_question(question, found[names.index(picked)]))

    async def _pick(self, question: Question) -> Any:
        free = replace(question, schema={})
        while True:
            try:
                if self.console.live:
                    return await self._choice(free)
                return parse(free, await self._line(free, prompt_text(free)))
            except Invalid as error:
                self._complain(str(error))

    async def _rows(self, question: Question) -> Any:
        least, most = question.schema.get("minItems", 0), question.schema.get("maxItems")
        if question.has_default and await self._yes(question, f"keep {compact(question.default)}?", default=True):
            return question.default
        rows: list[Any] = []
        while most is None or len(rows) < most:
            more = "add one?" if not rows else "add another?"
            if len(rows) >= least and not await self._yes(question, more):
                break
            rows.append(await self._ask(item_question(question, len(rows) + 1)))
        return UNSET if not rows and not question.required else fitting(question, rows)

    async def _lines(self, question: Question) -> Any:
        """Ask for a text or a list that takes several lines; an empty one ends it."""
        lines: list[str] = []
        before = prompt_text(question)
        while text := await self._line(question, before):
            if question.kind == "list" and text.lstrip().startswith("[") and not lines:
                return parse(question, text)
            found = self._items(question, text, len(lines)) if question.kind == "list" else [text]
            lines += found or []
            before = f"{len(lines) + 1}: " if question.kind == "list" else ""
        if question.kind == "long" or not lines:
            return parse(question, "\n".join(lines))
        return listed(question, lines)

    def _items(self, question: Question, text: str, before: int) -> list[str]:
        """Return the items of a line of a list; none where one of them doesn't fit."""
        items = split(text)
        wrong = False
        for number, item in enumerate(items, before + 1):
            try:
                if "prefixItems" not in question.schema:
                    parse(item_question(question, number), item)
            except Invalid as error:
                wrong = True
                for each in error.args:
                    self._complain(str(each))
        return [] if wrong else items

    async def _choice(self, question: Question) -> Any:
        self.console.tell(f"{self._head(question)}{clean(question.label)}".rstrip())
        first = [ABSENT] if not question.required and not question.has_default and not _has_absent(question) else []
        choices = [*first, *question.choices]
        at = next((n for n, c in enumerate(choices) if question.has_default and _same(c.value, question.default)), 0)
        value = await self._on_screen().choose(question, choices, at)
        return value if value is UNSET or question.kind != "choice" else fitting(question, value)

    async def _checks(self, question: Question) -> Any:
        self.console.tell(f"{self._head(question)}{clean(question.label)}".rstrip())
        before: list[Any] = question.default if is_array(question.default) else []
        marked = await self._on_screen().mark(question, [choice.value in before for choice in question.choices])
        if not marked and not question.required and not question.has_default:
            return UNSET
        return fitting(question, marked)

    async def _yes(self, question: Question, what: str, *, default: bool = False) -> bool:
        label = f"{clean(question.label)}  {what}" if question.label else what
        asked = Question(question.name, "boolean", {"type": "boolean"}, label, default=default, path=question.path)
        return bool(await self._ask(asked))

    def _complain(self, text: str) -> None:
        self.console.tell(f"  {' ' * self.width}{self.console.paint('✘', 'red')} {text}")

    def _head(self, question: Question) -> str:
        return f"  {self.console.paint(pad(clean(question.shown_name), self.width - 2) + '  ', 'bold')}"

    async def _line(self, question: Question, prompt: str) -> str:
        return await self._on_screen().line(question, self._head(question) + prompt)

    async def _edit(self, question: Question) -> str:
        text = await anyio.to_thread.run_sync(edit_text, template(question))
        if text is None:
            raise Invalid("no editor could be started; set EDITOR, or type JSON here")
        return text

    def _on_screen(self) -> Widgets:
        if self._widgets is None:
            raise Left
        return self._widgets


def _has_absent(question: Question) -> bool:
    return bool(question.choices) and question.choices[0] is ABSENT


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


async def yes_or_no(console: Console, question: str) -> bool:
    """Ask for a yes; Esc and Enter mean no."""
    form = Form(console, {"type": "object", "properties": {question: {"type": "boolean", "default": False}}})
    try:
        return bool((await form.fill()).get(question))
    except Left:
        return False
