"""The references inside a condition's text: found, and replaced by variables, so that CEL binds only what is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from agentflow.expressions.cel import EXACT
from agentflow.expressions.failures import ExpressionError, cut
from agentflow.expressions.grammar import Grammar
from agentflow.expressions.reading import Operand
from agentflow.expressions.syntax import make_operand, read_braced

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)"""
    r"""|(?P<text>[bB]?[rR][bB]?(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|"[^"\n]*"|'[^'\n]*')"""
    r"""|[bB]?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))"""
    r"""|(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?[uU]?)"""
    r"""|(?P<name>[A-Za-z_]\w*)"""
    r"""|(?P<quoted>`[^`\n]+`)"""
    r"""|(?P<sign>&&|\|\||[=!<>]=|.)""",
    re.DOTALL,
)
_STEP = re.compile(
    r"""\.(?P<opt>\?)?(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?![\w])(?!\s*\()|`(?P<quoted>[^`\n]+)`)"""
    r"""|\[(?P<optional>\?)?\s*(?:(?P<index>-?\d{1,9})|"(?P<double>[^"\\\n]*)"|'(?P<single>[^'\\\n]*)')\s*\]"""
)
_MACRO = re.compile(r"\(\s*([A-Za-z_]\w*)\s*,")
_MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_FOREIGN = {
    "and": "&&", "or": "||", "not": "!", "is": "==", "True": "true", "False": "false", "None": "null",
}  # fmt: skip
_VARIABLE = re.compile(r"_r\d+")
_CONNECT = ("&&", "||")
_BEFORE = ("", "(", "[", ",", "?", ":", *_CONNECT)
_AFTER = ("", ")", "]", ",", ":", *_CONNECT)

_READ = {
    "optional": "({0} != null ? optional.of({0}) : optional.none())",
    "size": "dyn({} + 0)",  # what has no size is null: a sum with null is an error wherever it stands, unlike "== null"
}

Role: TypeAlias = Literal["value", "truth", "present", "size", "text", "optional"]


@dataclass(slots=True)
class Token:
    """One part of a condition's text: a reference, or anything else."""

    text: str
    start: int
    end: int
    kind: str
    operand: Operand | None = None
    role: Role = "value"


class Variable(NamedTuple):
    """A variable of the rewritten text."""

    name: str
    operand: Operand
    role: Role


class Rewritten(NamedTuple):
    """A condition's text with variables for references."""

    text: str
    variables: tuple[Variable, ...]
    operands: tuple[Operand, ...]
    """All references, in reading order."""
    numbers: tuple[float, ...]
    """The numbers of its own that are too large to be exact as decimal numbers."""
    spans: tuple[tuple[int, int, int, int], ...]
    """For each variable: where it stands in the new text, and what it replaces in the old one."""

    def origin(self, place: int) -> tuple[int, int]:
        """Return the offset and the length in the original text of what stands at a place of the new one."""
        shift = 0
        for start, end, old_start, old_end in self.spans:
            if place < start:
                break
            if place < end:
                return old_start, old_end - old_start
            shift = old_end - end
        return place + shift, 1


def rewrite(text: str, words: Grammar) -> Rewritten:
    """Replace the references of a condition by variables: `{…}` and bare ones, but not the macros' own variables.

    Raises:
        ExpressionError: a reference is written wrongly, or a word belongs to another language.
    """
    tokens = _Reader(text, words).read()
    operands = tuple(token.operand for token in tokens if token.operand is not None)
    tokens = _with_roles(tokens)
    names: dict[tuple[str, str], str] = {}
    variables: list[Variable] = []
    spans: list[tuple[int, int, int, int]] = []
    parts: list[str] = []
    length = position = 0
    for token in tokens:
        if token.operand is None:
            continue
        name = names.get(key := (token.operand.reference.bare, token.role))
        if name is None:
            name = names[key] = f"_r{len(names)}"
            variables.append(Variable(name, token.operand, token.role))
        new = _READ.get(token.role, "{}").format(name)
        plain = text[position : token.start]
        length += len(plain)
        spans.append((length, length + len(new), token.start, token.end))
        parts += (plain, new)
        length += len(new)
        position = token.end
    parts.append(text[position:])
    numbers = tuple(number for token in tokens if token.kind == "number" if (number := _large(token.text)) is not None)
    return Rewritten("".join(parts), tuple(variables), operands, numbers, tuple(spans))


def _large(text: str) -> float | None:
    if len(text) < len(str(EXACT)) and "e" not in text.lower():
        return None
    number = float(text) if re.search(r"[.eE]", text) and text[:2] not in ("0x", "0X") else int(text.rstrip("uU"), 0)
    return None if -EXACT < number < EXACT else number


class _Reader:
    """Splits a condition into tokens; references become one token each."""

    def __init__(self, text: str, words: Grammar) -> None:
        self.text = text
        self.words = words
        self.tokens: list[Token] = []
        self.open: list[str] = []
        """For each open parenthesis: the variable of the macro that it belongs to, or nothing."""

    def read(self) -> list[Token]:
        """Return all tokens, without white space and comments."""
        text, position = self.text, 0
        while position < len(text):
            if text[position] == "{" and (operand := read_braced(text, position, self.words)) is not None:
                position = self._add(position, position + operand.reference.length, "reference", operand)
                continue
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:  # the last branch takes any character
                break
            position = self._token(found.lastgroup, position, found.end())
        return self.tokens

    def _add(self, start: int, end: int, kind: str, operand: Operand | None = None) -> int:
        self.tokens.append(Token(self.text[start:end], start, end, kind, operand))
        return end

    def _last(self, back: int = 1) -> str:
        return self.tokens[-back].text if len(self.tokens) >= back else ""

    def _token(self, kind: str, start: int, end: int) -> int:
        if kind == "space":
            return end
        if kind == "name":
            return self._name(start, end)
        if kind == "text":
            self._no_reference_inside(start, end)
        elif kind == "sign":
            self._sign(start, end)
        return self._add(start, end, kind)

    def _sign(self, start: int, end: int) -> None:
        sign = self.text[start:end]
        if sign == "(":
            macro = _MACRO.match(self.text, start) if self._last() in _MACROS and self._last(2) == "." else None
            self.open.append(macro[1] if macro is not None else "")
        elif sign == ")" and self.open:
            self.open.pop()
        elif sign == "=":
            raise _wrong('"=" compares nothing', start, end, 'did you mean "=="?')
        elif sign in ("&", "|"):
            raise _wrong(f'"{sign}" connects nothing', start, end, f'did you mean "{sign * 2}"?')

    def _no_reference_inside(self, start: int, end: int) -> None:
        found = self.words.head.search(self.text, start, end)
        if found is not None and found[1] is None:
            raise _wrong(
                "a reference inside quotes is only text", found.start(), end - 1, None,
                hint='take the quotes away: {input.x} == "y"',
            )  # fmt: skip

    def _name(self, start: int, end: int) -> int:
        name = self.text[start:end]
        is_field = self._last() == "." or (self._last() == "?" and self._last(2) == ".")
        if not is_field and _VARIABLE.fullmatch(name):
            raise _wrong(f'unknown name "{name}" in a condition', start, end, None)
        if is_field or name in self.open:
            return self._add(start, end, "name")
        if name in self.words.names and self.text[end : end + 1] != "(":
            return self._bare(start, end, name)
        if name in _FOREIGN:
            raise _wrong(f'"{name}" means nothing in a condition', start, end, f"write {_FOREIGN[name]}")
        return self._add(start, end, "name")

    def _bare(self, start: int, end: int, name: str) -> int:
        """Read a reference without braces: names and literal indexes that follow, up to a method call."""
        path: list[str | int] = []
        optional = False
        while (found := _STEP.match(self.text, end)) is not None:
            end = found.end()
            optional = optional or found["opt"] is not None or found["optional"] is not None
            index = found["index"]
            texts = (found["name"], found["quoted"], found["double"], found["single"])
            path.append(int(index) if index is not None else next(text for text in texts if text is not None))
        if name == "steps" and len(path) == 1 and re.match(r"-[A-Za-z_]", self.text[end : end + 2]):
            dashed = re.match(r"[\w.-]*", self.text[end:])
            whole = self.text[start:end] + (dashed[0] if dashed is not None else "")
            raise _wrong(
                f'"{cut(whole)}" is a difference here', start, start + len(whole), None,
                hint=f"an id with a dash needs braces: {{{cut(whole)}}}",
            )  # fmt: skip
        operand = make_operand(self.text, start, end, name, tuple(path), self.words, optional=False)
        self._add(start, end, "reference", operand)
        self.tokens[-1].role = "optional" if optional else "value"
        return end


def _wrong(what: str, start: int, end: int, label: str | None, hint: str | None = None) -> ExpressionError:
    return ExpressionError(
        what, code="AF-CONDITION-SYNTAX", offset=start, length=max(end - start, 1), label=label, hint=hint
    )


def _with_roles(tokens: list[Token]) -> list[Token]:
    """Find what each reference stands for: a truth, a size, a text, a question whether it is there, or its value."""
    done: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.operand is None or token.role == "optional":
            done.append(token)
            index += 1
            continue
        ahead = [t.text for t in tokens[index + 1 : index + 5]] + [""] * 4
        back = [""] * 3 + [t.text for t in done[-3:]]
        called = back[-2] if back[-1] == "(" and ahead[0] == ")" and back[-3] != "." else ""
        if called in ("has", "size"):
            role: Role = "present" if called == "has" else "size"
            first = done[-2]
            del done[-2:]
            done.append(_merged(first, tokens[index + 1], token, role))
            index += 2
        elif ahead[:4] == [".", "size", "(", ")"]:
            done.append(_merged(token, tokens[index + 4], token, "size"))
            index += 5
        else:
            if called == "string":
                token.role = "text"
            elif _is_truth(back[-1], ahead[0]):
                token.role = "truth"
            done.append(token)
            index += 1
    return done


def _merged(first: Token, last: Token, token: Token, role: Role) -> Token:
    return Token(token.text, first.start, last.end, "reference", token.operand, role)


def _is_truth(before: str, after: str) -> bool:
    """Tell whether a place takes only true or false."""
    if before == "!":
        return after not in (".", "[")
    if before in _CONNECT:
        return after in (*_AFTER, "?")
    return before in _BEFORE and (after in _CONNECT or after == "?")
