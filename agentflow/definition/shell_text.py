"""distri's script commands: shell text with references in it becomes shell text that reads environment variables.

A reference outside quotes becomes `"${AF_INPUT_X}"`, one inside double quotes `${AF_INPUT_X}`: always one word, never
shell text. A text is understood as far as `shell_lexer` and `shell_rules` go; where the value could be evaluated, or
what happens to it isn't understood, the reference is an error.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentflow.data import is_array, is_object
from agentflow.definition.faults import Faults
from agentflow.definition.pointers import join
from agentflow.definition.shell_lexer import Lexer, Refused
from agentflow.definition.shell_rules import check

if TYPE_CHECKING:
    from agentflow.expressions import Reference
    from agentflow.expressions.view import Dialect

_EXPANSION = re.compile(r"\{[A-Za-z_]\w*(?:\[[^\]]*\])?\??\}")
"""What after a `$` is the shell's own: `${input}`, `${item[0]}`, `${env?}`."""
_MARK = "\U0010fffd"
"""Stands for a reference while the text is read."""
_MALFORMED = 50
"""So many braces that only begin like a reference are passed over in one text."""


@dataclass(frozen=True, slots=True)
class _Reference:
    text: str
    """With its braces."""
    offset: int

    @property
    def end(self) -> int:
        return self.offset + len(self.text)


@dataclass(frozen=True, slots=True)
class _Safe:
    """Shell text that reads variables, and what they are."""

    text: str
    variables: dict[str, str]


class _Unsafe(Exception):
    def __init__(self, where: str, reference: _Reference) -> None:
        super().__init__(where)
        self.where = where
        self.reference = reference


def rewrite(flat: dict[str, Any], moved: dict[str, str], faults: Faults, step_id: str, names: frozenset[str]) -> None:
    """Turn a distri script's fields into ours, in place: an argv, or `run` with variables.

    Args:
        flat: the step's fields.
        moved: their pointers; changed along.
        faults: gets references that can't be made harmless.
        step_id: for messages.
        names: further names of references: the step's values.
    """
    command = flat.get("command")
    if not isinstance(command, str):
        return
    if "shell" not in flat and len(command.split()) <= 1:
        return
    source = moved.pop("command", "")
    given: Any = flat.get("env")
    env: dict[str, Any] = dict(given) if is_object(given) else {}
    arguments: Any = flat.pop("args", [])
    listed = [str(argument) for argument in arguments] if is_array(arguments) else []
    try:
        safe = _replaced(command, listed, names, set(env), zsh=flat.get("shell") == "zsh")
    except _Unsafe as unsafe:
        found = unsafe.reference
        faults.add(
            "AF-SHELL-REFERENCE",
            f'step "{step_id}" (script) has {found.text} {unsafe.where}, where its value could become shell text',
            source,
            offset=found.offset,
            length=len(found.text),
            hint=f'give it as a variable: env: {{"VALUE": "{found.text}"}}, and write "$VALUE" in the command',
        )
        safe = _Safe("true", {})
    del flat["command"]
    flat["run"] = safe.text
    flat.setdefault("shell", "bash")
    moved["run"] = source
    if safe.variables:
        flat["env"] = {**env, **safe.variables}
        for name in safe.variables:
            moved[join("env", name)] = source


def shell_references(text: str, names: frozenset[str], dialect: Dialect = "agentflow") -> list[Reference]:
    """Return the references in a shell text; `${input}` is none, but a variable of the shell.

    Args:
        text: the shell text.
        names: all names that references may begin with.
        dialect: as in templates.
    """
    if "{" not in text:
        return []
    from agentflow.expressions import ExpressionError, compile_value  # noqa: PLC0415  few texts need it

    for _ in range(_MALFORMED):
        try:
            found = compile_value(text, names, dialect=dialect).references
        except ExpressionError as error:
            # what is no reference is plain shell text, and hides none that follow
            text = f"{text[: error.offset]} {text[error.offset + 1 :]}"
            continue
        return [one for one in found if not _is_variable(text, one)]
    return []


def _is_variable(text: str, reference: Reference) -> bool:
    written = text[reference.offset : reference.offset + reference.length]
    return text[: reference.offset].endswith("$") and _EXPANSION.fullmatch(written) is not None


def _references(text: str, names: frozenset[str]) -> Sequence[_Reference]:
    from agentflow.expressions import NAMESPACES  # noqa: PLC0415  only distri's shell texts need it

    found = shell_references(text, NAMESPACES | names, "distri")
    return [_Reference(text[one.offset : one.offset + one.length], one.offset) for one in found]


def _variable(reference: _Reference, variables: dict[str, str], taken: set[str]) -> str:
    for name, text in variables.items():
        if text == reference.text:
            return name
    base = "AF_" + re.sub(r"[^A-Za-z0-9]+", "_", reference.text.strip("{}")).strip("_").upper()[:60]
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    taken.add(name)
    variables[name] = reference.text
    return name


def _replaced(text: str, arguments: Sequence[str], names: frozenset[str], taken: set[str], *, zsh: bool) -> _Safe:
    """Return the text with a variable for each reference.

    Raises:
        _Unsafe: a value could be evaluated there.
    """
    found = _references(text, names)
    parts = list[str]()
    marks: dict[int, _Reference] = {}
    position = length = 0
    for reference in found:
        parts += (text[position : reference.offset], _MARK)
        length += reference.offset - position + 1
        marks[length - 1] = reference
        position = reference.end
    parts.append(text[position:])
    length += len(text) - position
    for argument in arguments:
        pieces = _pieces(argument, _references(argument, names))
        for piece in (" ", *pieces):
            if isinstance(piece, _Reference):
                marks[length] = piece
            parts.append(_MARK if isinstance(piece, _Reference) else piece)
            length += len(parts[-1])
    marked = "".join(parts)
    if not marks:
        return _Safe(marked, {})
    first = next(iter(marks.values()))
    if marked.count(_MARK) != len(marks):
        raise _Unsafe("beside a private character", first)
    lexer = Lexer(marked, marks, zsh=zsh)
    try:
        lexer.read()
        check(lexer)
    except Refused as refused:
        raise _Unsafe(refused.where, marks.get(refused.position or 0, first)) from None
    return _written(marked, lexer.inside, marks, taken)


def _pieces(argument: str, references: Sequence[_Reference]) -> list[str | _Reference]:
    """Return an argument as the parts of one quoted word."""
    pieces: list[str | _Reference] = []
    position = 0
    for reference in references:
        if reference.offset > position:
            pieces.append(shlex.quote(argument[position : reference.offset]))
        pieces.append(reference)
        position = reference.end
    if position < len(argument) or not pieces:
        pieces.append(shlex.quote(argument[position:]))
    return pieces


def _written(marked: str, inside: Mapping[int, bool], marks: Mapping[int, _Reference], taken: set[str]) -> _Safe:
    variables: dict[str, str] = {}
    parts: list[str] = []
    position = 0
    for place, reference in marks.items():
        name = _variable(reference, variables, taken)
        parts += (marked[position:place], f"${{{name}}}" if inside[place] else f'"${{{name}}}"')
        position = place + 1
    return _Safe("".join(parts) + marked[position:], variables)
