"""distri's script commands: shell text with references in it becomes shell text that reads environment variables.

A reference outside quotes becomes `"${AF_INPUT_X}"`, one inside double quotes `${AF_INPUT_X}`: always one word, never
shell text. Where no quoting makes a value harmless (single quotes, arithmetic, here-documents, `${…}`, back-quotes,
`eval`) the reference is an error.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentflow.data import is_array, is_object
from agentflow.definition.faults import Faults
from agentflow.definition.pointers import join

if TYPE_CHECKING:
    from agentflow.expressions import Reference
    from agentflow.expressions.view import Dialect

_UNSAFE = re.compile(
    r"(?<![\w-])(?:eval|let|source|trap|unset|declare|typeset|printf\s+-v)(?![\w-])"
    r"|(?:^|[\s;&|(/])(?:ba|z|da|k|a)?sh\s+(?:-\S+\s+)*-\w*c\b"
    r"|\[\[.*\s-(?:eq|ne|lt|le|gt|ge|v)\s"
    r"|(?:\[|\btest)\s.*-v\s"
)
"""What reads its arguments as shell text or as arithmetic, whatever their quoting."""
_ZSH_TEST = re.compile(r"(?:\[|\btest)\s.*\s-(?:eq|ne|lt|le|gt|ge)\s")
_INDEX = re.compile(r"\w\[[^\]]*$")
_EXPANSION = re.compile(r"\{[A-Za-z_]\w*(?:\[[^\]]*\])?\??\}")
"""What after a `$` is the shell's own: `${input}`, `${item[0]}`, `${env?}`."""
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


class _Refused(Exception):
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
    variables: dict[str, str] = {}
    taken = set(env)
    try:
        text = _replace(command, _references(command, names), variables, taken, zsh=flat.get("shell") == "zsh")
    except _Refused as refused:
        found = refused.reference
        faults.add(
            "AF-SHELL-REFERENCE",
            f'step "{step_id}" (script) has {found.text} {refused.where}, where its value would become shell text',
            source,
            offset=found.offset,
            length=len(found.text),
            hint=f'give it as a variable: env: {{"VALUE": "{found.text}"}}, and write "$VALUE" in the command',
        )
        text = "true"
    arguments: Any = flat.pop("args", [])
    for argument in arguments if is_array(arguments) else []:
        text += " " + _word(str(argument), _references(str(argument), names), variables, taken)
    del flat["command"]
    flat["run"] = text
    flat.setdefault("shell", "bash")
    moved["run"] = source
    if variables:
        flat["env"] = {**env, **variables}
        for name in variables:
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


def _word(text: str, references: Sequence[_Reference], variables: dict[str, str], taken: set[str]) -> str:
    parts: list[str] = []
    position = 0
    for reference in references:
        if reference.offset > position:
            parts.append(shlex.quote(text[position : reference.offset]))
        parts.append(f'"${{{_variable(reference, variables, taken)}}}"')
        position = reference.end
    if position < len(text) or not parts:
        parts.append(shlex.quote(text[position:]))
    return "".join(parts)


def _replace(
    text: str, references: Sequence[_Reference], variables: dict[str, str], taken: set[str], *, zsh: bool = False
) -> str:
    if not references:
        return text
    if _UNSAFE.search(text) or (zsh and _ZSH_TEST.search(text)):
        raise _Refused("beside a word that reads its arguments as shell text (eval, sh -c, [[ -eq)", references[0])
    scanner = _Scanner(text)
    parts: list[str] = []
    position = 0
    for reference in references:
        scanner.advance(reference.offset)
        where = scanner.refusal()
        if where:
            raise _Refused(where, reference)
        name = _variable(reference, variables, taken)
        parts.append(text[position : reference.offset])
        parts.append(f"${{{name}}}" if scanner.mode == '"' else f'"${{{name}}}"')
        position = reference.end
        scanner.position = position
    parts.append(text[position:])
    return "".join(parts)


_WHERE = {
    "'": "in single quotes",
    "$'": "in single quotes",
    "`": "in back-quotes",
    "((": "in arithmetic",
    "${": "in a parameter expansion",
    "[": "in an array index",
    "#": "in a comment",
    "\\": "after a backslash",
    "<<": "in or after a here-document",
}


class _Scanner:
    """Follows a shell text's quoting, as far as the places of references need it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.stack: list[str] = [""]
        self.escaped = False
        self.here = False

    @property
    def mode(self) -> str:
        return self.stack[-1]

    def refusal(self) -> str | None:
        """Say why a value can't stand here; None if it can."""
        if self.here:
            return _WHERE["<<"]
        if self.escaped:
            return _WHERE["\\"]
        if self.text[: self.position].endswith("$"):
            return _WHERE["${"]
        if _INDEX.search(self.text, max(0, self.position - 200), self.position):
            return _WHERE["["]
        return next((_WHERE[mode] for mode in self.stack if mode in _WHERE), None)

    def advance(self, goal: int) -> None:
        """Read up to a position."""
        self.escaped = False
        while self.position < goal:
            step = self._quoted() if self.mode in ("'", "$'", '"', "`", "#") else self._plain()
            self.position += step

    def _quoted(self) -> int:
        text, at, mode = self.text, self.position, self.mode
        char = text[at]
        if mode == "#":
            if char == "\n":
                self.stack.pop()
            return 1
        if char == "\\" and mode != "'":
            self.escaped = self._is_reference_next()
            return 1 if self.escaped else 2
        if char == ("'" if mode == "$'" else mode):
            self.stack.pop()
            return 1
        if mode == '"':
            return self._expansion(char)
        return 1

    def _plain(self) -> int:
        text, at = self.text, self.position
        char = text[at]
        if char == "\\":
            self.escaped = self._is_reference_next()
            return 1 if self.escaped else 2
        if text.startswith("$'", at) and self.mode != "((":
            self.stack.append("$'")
            return 2
        if char in "'\"" and self.mode != "${":
            self.stack.append(char)
            return 1
        if char == "#" and self.mode in ("", "(") and (at == 0 or text[at - 1] in " \t\n;&|("):
            self.stack.append("#")
            return 1
        if (
            text.startswith("<<", at)
            and not text.startswith("<<<", at)
            and text[at - 1 : at] != "<"
            and self.mode != "(("
        ):
            self.here = True
            return 2
        if char == "(" and text.startswith("((", at):
            self.stack.append("((")
            return 2
        if char == "(":
            self.stack.append("(")
            return 1
        if char == ")" and self.mode == "((":
            self.stack.pop()
            return 2 if text.startswith("))", at) else 1
        if (char == ")" and self.mode == "(") or (char == "}" and self.mode == "${"):
            self.stack.pop()
            return 1
        return self._expansion(char)

    def _expansion(self, char: str) -> int:
        text, at = self.text, self.position
        if char == "`":
            self.stack.append("`")
            return 1
        for opening, mode in (("$((", "(("), ("$(", "("), ("$[", "(("), ("${", "${")):
            if text.startswith(opening, at):
                self.stack.append(mode)
                return len(opening)
        return 1

    def _is_reference_next(self) -> bool:
        return self.text[self.position + 1 : self.position + 2] == "{"
