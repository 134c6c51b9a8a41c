"""Templates: references anywhere inside JSON data, compiled once, rendered often."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from agentflow.expressions.reference import (
    NAME,
    SEGMENT,
    Dialect,
    Reference,
    Resolve,
    make_reference,
    resolver,
)
from agentflow.expressions.view import NAMESPACES, ExpressionError, View

_OPEN = re.compile(rf"\{{(\{{)?(\$|{NAME})")
_BODY = re.compile(rf"((?:{SEGMENT})*)(\?)?\}}")
_DEEPEST = 100

Part = str | Reference


class Compiled:
    """A template value, ready to render."""

    __slots__ = ("_render", "constant", "references", "warnings")

    def __init__(
        self, render: Callable[[View], Any], references: tuple[Reference, ...], constant: bool, doubled: int = 0
    ) -> None:
        """Made by `compile_value`."""
        self._render = render
        self.references = references
        self.constant = constant
        """Whether there is nothing to render."""
        self.warnings = doubled
        """How many `{{` stand before a namespace: they are literal braces."""

    def render(self, view: View) -> Any:
        """Return the value with its references replaced; a constant is returned as it is.

        Raises:
            ReferenceMissing: a reference has no value.
        """
        return self._render(view)


def compile_value(value: Any, names: frozenset[str] = NAMESPACES, *, dialect: Dialect = "agentflow") -> Compiled:
    """Compile the templates inside a JSON value; keys are left alone.

    Args:
        value: JSON data, with templates in its texts.
        names: names that references may begin with.
        dialect: `distri` searches `{context.x}` as distri does.

    Raises:
        ExpressionError: a template is written wrongly; it says where.
    """
    builder = _Builder(names, dialect)
    render = builder.build(value, (), 0)
    if render is None:
        return Compiled(lambda _: value, (), True)
    return Compiled(render, tuple(builder.references), False, builder.doubled)


class _Builder:
    def __init__(self, names: frozenset[str], dialect: Dialect) -> None:
        self.names = names
        self.dialect: Dialect = dialect
        self.references: list[Reference] = []
        self.doubled = 0

    def build(self, value: Any, path: tuple[str | int, ...], depth: int) -> Callable[[View], Any] | None:
        """Return what renders a value, or None when nothing is to be rendered in it."""
        if isinstance(value, str):
            return self._text(value, path) if "{" in value else None
        if depth > _DEEPEST:
            raise ExpressionError("a template is nested more than 100 levels deep", value_path=path)
        if isinstance(value, dict):
            return self._object(cast("dict[str, Any]", value), path, depth)
        if isinstance(value, list | tuple):
            return self._array(list(cast("list[Any]", value)), path, depth)
        return None

    def _object(self, value: dict[str, Any], path: tuple[str | int, ...], depth: int) -> Callable[[View], Any] | None:
        made = {key: self.build(item, (*path, key), depth + 1) for key, item in value.items()}
        live = [(key, render) for key, render in made.items() if render is not None]
        if not live:
            return None
        if len(live) == len(value):
            return lambda view: {key: render(view) for key, render in live}

        def render_object(view: View) -> dict[str, Any]:
            result = dict(value)
            for key, render in live:
                result[key] = render(view)
            return result

        return render_object

    def _array(self, value: list[Any], path: tuple[str | int, ...], depth: int) -> Callable[[View], Any] | None:
        made = [self.build(item, (*path, number), depth + 1) for number, item in enumerate(value)]
        if not any(made):
            return None
        return lambda view: [item if render is None else render(view) for item, render in zip(value, made, strict=True)]

    def _text(self, text: str, path: tuple[str | int, ...]) -> Callable[[View], Any] | None:
        parts, doubled = split(text, self.names, path)
        self.doubled += doubled
        found = [part for part in parts if isinstance(part, Reference)]
        self.references.extend(found)
        if not found:
            plain = "".join(cast("list[str]", parts))
            return None if plain == text else lambda _: plain
        if len(parts) == 1:
            return resolver(found[0], self.dialect)
        pieces: list[str | Resolve] = [
            resolver(part, self.dialect) if isinstance(part, Reference) else part for part in parts
        ]
        return lambda view: "".join([p if isinstance(p, str) else as_text(p(view)) for p in pieces])


def as_text(value: Any) -> str:
    """Return a value as it stands inside text: strings raw, null as nothing, the rest as compact JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def split(text: str, names: frozenset[str], path: tuple[str | int, ...] = ()) -> tuple[list[Part], int]:
    """Split a text into plain pieces and references; also counts the doubled braces that stand for literal ones.

    Raises:
        ExpressionError: a brace before a namespace isn't closed, or what it holds is no reference.
    """
    parts: list[Part] = []
    start, doubled, position = 0, 0, 0
    while (opened := _OPEN.search(text, position)) is not None:
        head = opened[2]
        if head != "$" and head not in names:
            position = opened.end() if opened[1] is None else opened.start() + 1
            continue
        if opened[1] is not None:
            close = text.find("}}", opened.end())
            if head == "$" and not text.startswith("$.", opened.start() + 2):
                position = opened.end()
                continue
            doubled += 1
            _add(parts, text[start : opened.start()])
            end = close if close >= 0 else len(text)
            _add(parts, text[opened.start() + 1 : end] + ("}" if close >= 0 else ""))
            start = position = end + 2 if close >= 0 else end
            continue
        found = _reference(text, opened.start(), opened.end(), head, path)
        if found is None:
            position = opened.end()
            continue
        _add(parts, text[start : opened.start()])
        parts.append(found)
        start = position = opened.start() + found.length
    _add(parts, text[start:])
    return parts, doubled


def _add(parts: list[Part], piece: str) -> None:
    if not piece:
        return
    if parts and isinstance(parts[-1], str):
        parts[-1] += piece
    else:
        parts.append(piece)


def _reference(text: str, start: int, end: int, head: str, path: tuple[str | int, ...]) -> Reference | None:
    if head == "$":
        if not text.startswith("$.", start + 1):
            return None
        return _jsonpath(text, start, path)
    body = _BODY.match(text, end)
    if body is not None:
        return make_reference(
            head, body[1], optional=body[2] is not None, offset=start, length=body.end() - start, value_path=path
        )
    following = text[end : end + 1]
    if following not in {".", "[", "}", "?"}:
        return None
    close = text.find("}", end)
    length = (close + 1 if close >= 0 else len(text)) - start
    shown = text[start : start + min(length, 60)]
    what = f'"{shown}" is no reference' if close >= 0 else f'"{shown}" isn\'t closed'
    hint = "write {steps.ID.field}, {input.list[0]}, or {$.…} for JSONPath; {{ gives a literal brace"
    raise ExpressionError(what, offset=start, length=length, value_path=path, hint=hint)


def _jsonpath(text: str, start: int, path: tuple[str | int, ...]) -> Reference:
    from agentflow.expressions.jsonpath import jsonpath_reference  # noqa: PLC0415  few templates need it

    depth, quote, end = 0, "", start + 1
    while end < len(text):
        char = text[end]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "[(":
            depth += 1
        elif char in "])":
            depth -= 1
        elif char == "}" and depth <= 0:
            break
        end += 1
    else:
        raise ExpressionError(
            f'"{text[start : start + 60]}" isn\'t closed', offset=start, length=len(text) - start, value_path=path
        )
    inner = text[start + 1 : end]
    optional = inner.endswith("?")
    return jsonpath_reference(
        inner.removesuffix("?"), optional=optional, offset=start, length=end + 1 - start, value_path=path
    )


@lru_cache(maxsize=4096)
def compile_text(text: str, names: frozenset[str] = NAMESPACES) -> Compiled:
    """Compile one text, remembered."""
    return compile_value(text, names)
