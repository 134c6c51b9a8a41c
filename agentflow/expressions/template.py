"""Templates: references anywhere inside JSON data, compiled once, rendered often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from agentflow.expressions.failures import ExpressionError, is_list, is_mapping
from agentflow.expressions.grammar import Grammar, grammar
from agentflow.expressions.reading import Operand, texted, valued
from agentflow.expressions.syntax import split
from agentflow.expressions.view import NAMESPACES, Dialect, Escape, Path, Reference, View

Render: TypeAlias = Callable[[View], Any]

_DEEPEST = 100


class Compiled:
    """A template value, ready to render."""

    __slots__ = ("constant", "escapes", "references", "render")

    def __init__(
        self, render: Render, references: tuple[Reference, ...], escapes: tuple[Escape, ...], *, constant: bool
    ) -> None:
        """Made by `compile_value`."""
        # an attribute, not a method that calls one: it is called for every step
        self.render: Render = render
        """Return the value with its references replaced; raises ReferenceMissing. What is constant in it is shared
        by all renderings, so nobody may change it."""
        self.references = references
        """Every reference, in reading order."""
        self.escapes = escapes
        """Every `{{` that stands for a brace."""
        self.constant = constant
        """Whether it is the same in every view."""


def compile_value(value: Any, names: frozenset[str] = NAMESPACES, *, dialect: Dialect = "agentflow") -> Compiled:
    """Compile the templates inside a JSON value; keys are left alone.

    Args:
        value: JSON data, with templates in its texts.
        names: all the names that references may begin with.
        dialect: `distri` searches `{context.x}` as distri does.

    Raises:
        ExpressionError: a template is written wrongly; it says where.
    """
    if is_plain(value):
        return Compiled(lambda _: value, (), (), constant=True)
    builder = _Builder(grammar(names, dialect))
    constant, made = builder.build(value, ())
    render: Render = (lambda _: made) if constant else made
    return Compiled(render, tuple(builder.references), tuple(builder.escapes), constant=constant)


def is_plain(value: Any, depth: int = 0) -> bool:
    """Tell quickly whether nothing in a value can be a template, as is so for most steps of a big graph."""
    if isinstance(value, str):
        return "{" not in value
    if is_mapping(value):
        return depth < _DEEPEST and all(is_plain(item, depth + 1) for item in value.values())
    if is_list(value):
        return depth < _DEEPEST and all(is_plain(item, depth + 1) for item in value)
    return True


class _Builder:
    """Compiles one value; collects what it refers to."""

    def __init__(self, words: Grammar) -> None:
        self.words = words
        self.references: list[Reference] = []
        self.escapes: list[Escape] = []

    def build(self, value: Any, at: Path) -> tuple[bool, Any]:
        """Return (True, the constant value) or (False, what renders it)."""
        if isinstance(value, str):
            return self._text(value, at) if "{" in value else (True, value)
        if is_mapping(value):
            return self._object(dict(value), value, at)
        if is_list(value):
            return self._array(list(value), value, at)
        return True, value

    def _object(self, items: dict[str, Any], whole: Any, at: Path) -> tuple[bool, Any]:
        live, changed = self._parts(items, list(items.items()), at)
        if not live:
            return True, items if changed else whole

        def render(view: View) -> dict[str, Any]:
            made = items.copy()
            for key, part in live:
                made[key] = part(view)
            return made

        return False, render

    def _array(self, items: list[Any], whole: Any, at: Path) -> tuple[bool, Any]:
        live, changed = self._parts(items, list(enumerate(items)), at)
        if not live:
            return True, items if changed else whole

        def render(view: View) -> list[Any]:
            made = items.copy()
            for index, part in live:
                made[index] = part(view)
            return made

        return False, render

    def _parts(self, items: Any, entries: list[tuple[Any, Any]], at: Path) -> tuple[list[tuple[Any, Render]], bool]:
        """Compile the parts of a container, constant ones into `items`; tell whether one of those changed."""
        if len(at) >= _DEEPEST:
            raise ExpressionError(
                f"a value is nested more than {_DEEPEST} levels deep", code="AF-DEFINITION-DEPTH", value_path=at
            )
        live: list[tuple[Any, Render]] = []
        changed = False
        for key, item in entries:
            constant, made = self.build(item, (*at, key))
            if not constant:
                live.append((key, made))
            elif made is not item:
                items[key] = made
                changed = True
        return live, changed

    def _text(self, text: str, at: Path) -> tuple[bool, Any]:
        pieces, escapes = split(text, self.words, at)
        self.escapes.extend(escapes)
        operands = [piece for piece in pieces if isinstance(piece, Operand)]
        for operand in operands:
            self.references.extend(operand.references)
        if not operands:
            return True, "".join(str(piece) for piece in pieces) if escapes else text
        if len(pieces) == 1:
            return False, valued(operands[0])
        parts = [texted(piece) if isinstance(piece, Operand) else piece for piece in pieces]

        def render(view: View) -> str:
            return "".join([part if isinstance(part, str) else part(view) for part in parts])

        return False, render
