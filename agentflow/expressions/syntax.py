"""How references are written: `{steps.fetch.items[0].id}`, `{input["a b"]?}`, `{$.steps.fetch.items[*].id}`."""

from __future__ import annotations

import re
from typing import TypeAlias

from agentflow.expressions.failures import ExpressionError, cut
from agentflow.expressions.grammar import Grammar
from agentflow.expressions.reading import Operand, path_reader
from agentflow.expressions.view import Escape, Path, Reference

_SEGMENT = re.compile(
    r"""\.([^\s.\[\]{}?"'`(),:;=<>!|&*/+\\]+)"""  # .name, .0, .content-type
    r"""|\[(-?\d{1,9})\]"""
    r"""|\["((?:[^"\\]|\\.)*)"\]"""
    r"""|\['((?:[^'\\]|\\.)*)'\]"""
)
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MOST_PARTS = 200
_FAR = 1000
"""The closing brace is looked for this far: a text full of open ones must not take quadratic time."""
_HINT = "write {steps.ID.field}, {input.list[0]}, or {$.…} for JSONPath; {{ gives a literal brace"

Piece: TypeAlias = str | Operand


def read_path(text: str, position: int) -> tuple[Path, int]:
    """Read the parts after a namespace, and return them with the place after them."""
    parts: list[str | int] = []
    while (found := _SEGMENT.match(text, position)) is not None:
        position = found.end()
        dotted, index, double, single = found.groups()
        if dotted is not None:
            parts.append(int(dotted) if _INDEX.fullmatch(dotted) else dotted)
        elif index is not None:
            parts.append(int(index))
        else:
            parts.append(_ESCAPED.sub(r"\1", double if double is not None else single))
    return tuple(parts), position


def make_operand(text: str, start: int, end: int, namespace: str, path: Path, words: Grammar, *, optional: bool,
                 at: Path = ()) -> Operand:  # fmt: skip
    """Make the operand of a plain reference.

    Raises:
        ExpressionError: it names no step, or is endless.
    """
    wrong = None
    if namespace == "steps" and not path:
        wrong = f'"{text[start:end]}" must name a step: {{steps.ID}}'
    elif len(path) > _MOST_PARTS:
        wrong = f"a reference has more than {_MOST_PARTS} parts"
    if wrong is not None:
        raise ExpressionError(wrong, offset=start, length=end - start, value_path=at)
    if path and namespace in ("steps", "env", "context"):
        path = (str(path[0]), *path[1:])
    reference = Reference(text[start:end], namespace, path, start, end - start, optional, False, at)
    return Operand(reference, path_reader(namespace, path, words.dialect))


def read_braced(text: str, start: int, words: Grammar, at: Path = ()) -> Operand | None:
    """Read the reference whose brace stands at a place; None when the brace is just text.

    Raises:
        ExpressionError: it begins like a reference and isn't one.
    """
    found = words.head.match(text, start)
    if found is None or found[1] is not None:
        return None
    return _read(text, start, found, words, at)


def _read(text: str, start: int, found: re.Match[str], words: Grammar, at: Path) -> Operand:
    """Read a reference of which the head was found; `start` is its brace."""
    if found[2] is None:
        return _jsonpath(text, start, words, at)
    path, end = read_path(text, found.end())
    optional = text[end : end + 1] == "?"
    if optional:
        end += 1
    if text[end : end + 1] != "}":
        raise _malformed(text, start, end, at)
    return make_operand(text, start, end + 1, found[2], path, words, optional=optional, at=at)


def _malformed(text: str, start: int, stopped: int, at: Path) -> ExpressionError:
    close = text.find("}", stopped, stopped + _FAR)
    end = close + 1 if close >= 0 else min(len(text), stopped + _FAR)
    shown = cut(text[start:end])
    if text[stopped - 1] == "?":
        return ExpressionError(
            f'"{shown}" has its ? inside: only a whole reference is optional', offset=start, length=end - start,
            value_path=at, hint="put the ? right before the closing brace",
        )  # fmt: skip
    what = f'"{shown}" is no reference' if close >= 0 else f'"{shown}" isn\'t closed'
    return ExpressionError(what, offset=start, length=end - start, value_path=at, hint=_HINT)


def _jsonpath(text: str, start: int, words: Grammar, at: Path) -> Operand:
    from agentflow.expressions.jsonpath import jsonpath_operand  # noqa: PLC0415  heavy, and few templates need it

    depth, quote, end = 0, "", start + 1
    limit = min(len(text), start + 2 * _FAR)
    while end < limit:
        char = text[end]
        if quote:
            if char == "\\":
                end += 1
            elif char == quote:
                quote = ""
        elif char in "'\"`":
            quote = char
        elif char in "[(":
            depth += 1
        elif char in "])":
            depth -= 1
        elif char == "}" and depth <= 0:
            break
        end += 1
    else:
        shown = cut(text[start:limit])
        raise ExpressionError(f'"{shown}" isn\'t closed', offset=start, length=limit - start, value_path=at, hint=_HINT)
    return jsonpath_operand(text, start, end + 1, words, at)


def split(text: str, words: Grammar, at: Path = ()) -> tuple[list[Piece], list[Escape]]:
    """Split a text into plain pieces and references, escapes resolved.

    Raises:
        ExpressionError: something begins like a reference and isn't one.
    """
    pieces: list[Piece] = []
    escapes: list[Escape] = []
    plain: list[str] = []
    position = 0
    while (found := words.head.search(text, position)) is not None:
        start = found.start()
        plain.append(text[position:start])
        if found[1] is not None:
            position = _escaped_end(text, start, found, words)
            literal = text[start + 1 : position]
            plain.append(literal[:-1] if literal.endswith("}}") else literal)
            escapes.append(Escape(text[start:position], start, position - start, at))
            continue
        operand = _read(text, start, found, words, at)
        if any(plain):
            pieces.append("".join(plain))
        plain.clear()
        pieces.append(operand)
        position = start + operand.reference.length
    plain.append(text[position:])
    if any(plain):
        pieces.append("".join(plain))
    return pieces, escapes


def _escaped_end(text: str, start: int, found: re.Match[str], words: Grammar) -> int:
    """Return where an escape ends: after `}}` when a whole reference stands in double braces, else after its head."""
    try:
        operand = _read(text, start + 1, found, words, ())
    except ExpressionError:
        return found.end()
    end = start + 1 + operand.reference.length
    return end + 1 if text[end : end + 1] == "}" else end
