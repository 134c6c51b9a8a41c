"""distri's conditions: `{ref}`, `!{ref}`, `{ref} == "v"`, `{ref} != "v"`. They don't go through CEL."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentflow.expressions.grammar import Grammar
from agentflow.expressions.reading import Operand, lenient
from agentflow.expressions.syntax import make_operand, read_braced, read_path
from agentflow.expressions.view import View

_SPACE = re.compile(r"\s*")
_NOT = re.compile(r"(?:!\s*)*")
_NAME = re.compile(r"[^\W\d][\w-]*")
_QUOTED = re.compile(r"""\s*(==|!=)\s*("([^"\\]*)"|'([^'\\]*)')\s*""")
_LOOSE = re.compile(r"""\s*(==|!=)\s*("(.*)"|'(.*)'|[\w.+-]+)\s*""", re.DOTALL)
_CONSTANT = re.compile(r"\s*(true|false)\s*")


@dataclass(frozen=True, slots=True)
class Form:
    """A condition that needs no CEL."""

    operands: tuple[Operand, ...]
    evaluate: Callable[[View], bool]


def read_form(text: str, words: Grammar) -> Form | None:
    """Read a text that as a whole is a constant or one of distri's forms; None for all others.

    Raises:
        ExpressionError: it begins with a reference that is written wrongly.
    """
    constant = _CONSTANT.fullmatch(text)
    if constant is not None:
        value = constant[1] == "true"
        return Form((), lambda _: value)
    start = _end(_SPACE, text, 0)
    after = _end(_NOT, text, start)
    negated = text.count("!", start, after) % 2 == 1
    operand = _reference(text, after, words)
    if operand is None:
        return None
    position = after + operand.reference.length
    if not text[position:].strip():
        return _truth(operand, wanted=not negated)
    found = (_LOOSE if words.dialect == "distri" else _QUOTED).fullmatch(text, position)
    if found is None:
        return None
    literal = next((inner for inner in (found[3], found[4]) if inner is not None), found[2])
    return _compared(operand, literal, wanted=(found[1] == "==") is not negated)


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found is not None else position


def _reference(text: str, start: int, words: Grammar) -> Operand | None:
    """Read a reference with or without braces."""
    if text[start : start + 1] == "{":
        return read_braced(text, start, words)
    name = _NAME.match(text, start)
    if name is None or name[0] not in words.names:
        return None
    path, end = read_path(text, name.end())
    if (name[0] == "steps" and not path) or text[end : end + 1] in ("(", "["):
        return None
    optional = text[end : end + 1] == "?" and not text[end + 1 :].strip()
    return make_operand(text, start, end + optional, name[0], path, words, optional=optional)


def truth(value: Any) -> bool:
    """Tell whether a value counts as true: missing, null, false, "", 0, [] and {} don't."""
    return bool(value)


def _truth(operand: Operand, *, wanted: bool) -> Form:
    read = lenient(operand)
    if wanted:
        return Form((operand,), lambda view: True if read(view) else False)  # noqa: SIM210  half the time of bool()
    return Form((operand,), lambda view: not read(view))


def _compared(operand: Operand, literal: str, *, wanted: bool) -> Form:
    read = lenient(operand)

    def evaluate(view: View) -> bool:
        value = read(view)
        if type(value) is str:
            return (value == literal) is wanted
        return _same(value, literal) is wanted

    return Form((operand,), evaluate)


def _same(value: Any, literal: str) -> bool:
    """Compare by the text of a string, a number or a boolean; nothing else equals a text."""
    if isinstance(value, str):
        return value == literal
    if isinstance(value, bool):
        return literal == ("true" if value else "false")
    if isinstance(value, (int, float)) and len(literal) < 400:
        try:
            return json.dumps(value) == literal
        except ValueError:  # an integer of thousands of digits
            return False
    return False
