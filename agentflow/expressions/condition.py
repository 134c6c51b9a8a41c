"""Conditions: distri's short forms by themselves, everything else CEL with references as operands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, cast

from agentflow.data import is_object
from agentflow.errors import StepError
from agentflow.expressions.cel import bindable, compile_cel, evaluate_cel
from agentflow.expressions.reference import NAME, SEGMENT, Dialect, Reference, make_reference, resolver
from agentflow.expressions.template import split
from agentflow.expressions.view import NAMESPACES, ExpressionError, ReferenceMissing, View

_LONGEST = 10_000
_DEEPEST = 32
_STRING = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_TOKEN = re.compile(rf"{_STRING}|[A-Za-z_][A-Za-z0-9_]*|\d[\w.]*|.", re.DOTALL)
_BARE = re.compile(rf"({NAME})((?:{SEGMENT})*)(\?)?")
_WHOLE = re.compile(rf"(!?)\s*(?:\{{([^{{}}]+)\}}|({NAME}(?:{SEGMENT})*\??))\s*(?:(==|!=)\s*(\"[^\"]*\"|'[^']*'))?")
_MACRO = re.compile(r"\.(?:all|exists|exists_one|map|filter)\(\s*([A-Za-z_]\w*)\s*,")
_HAS = re.compile(rf"has\(\s*({NAME})((?:{SEGMENT})+)\s*\)")


class Condition:
    """A condition, compiled."""

    __slots__ = ("_evaluate", "references", "text")

    def __init__(self, text: str, references: tuple[Reference, ...], evaluate: Callable[[View], bool]) -> None:
        """Made by `compile_condition`."""
        self.text = text
        self.references = references
        self._evaluate = evaluate

    def evaluate(self, view: View) -> bool:
        """Tell whether it holds. A missing value is null.

        Raises:
            StepError: AF-CONDITION-FAILED, it can't be evaluated or isn't true or false.
        """
        return self._evaluate(view)


def compile_condition(
    value: str | bool,
    names: frozenset[str] = NAMESPACES,
    *,
    dialect: Dialect = "agentflow",
    steps: Collection[str] | None = None,
) -> Condition:
    """Compile a condition.

    Args:
        value: its text, or a constant.
        names: names that references may begin with.
        dialect: `distri` searches `{context.x}` as distri does.
        steps: ids of the steps that may be named; None: any.

    Raises:
        ExpressionError: it can't be understood, or names an unknown step.
    """
    if isinstance(value, bool):
        return Condition(str(value).lower(), (), lambda _: value)
    if len(value) > _LONGEST:
        raise ExpressionError("a condition is longer than 10,000 characters", code="AF-CONDITION-SYNTAX")
    condition = _whole(value, names, dialect) or _cel(value, names, dialect)
    if steps is not None:
        for reference in condition.references:
            step = reference.step_id
            if step is not None and step not in steps:
                near = get_close_matches(step, steps, 1)
                raise ExpressionError(
                    f'unknown step "{step}" in a condition', code="AF-REF-STEP", offset=reference.offset,
                    length=reference.length, hint=f'did you mean "{near[0]}"?' if near else None,
                )  # fmt: skip
    return condition


def _whole(text: str, names: frozenset[str], dialect: Dialect) -> Condition | None:
    """Compile one of distri's forms: `{ref}`, `!{ref}`, `{ref} == "v"`, `{ref} != "v"`; braces may be left out."""
    stripped = text.strip()
    found = _WHOLE.fullmatch(stripped)
    if found is None:
        return None
    negate, braced, bare, operator, literal = found.groups()
    inner = "{" + (braced or bare) + "}"
    parts, _ = split(inner, names)
    if len(parts) != 1 or not isinstance(parts[0], Reference):
        return None
    reference = parts[0]
    shift = text.index(braced or bare) - (1 if braced else 0)
    reference = Reference(
        reference.text, reference.namespace, reference.path, shift, reference.length - (0 if braced else 2),
        True, reference.jsonpath,
    )  # fmt: skip
    find = resolver(reference, dialect)
    if operator is None:
        wanted = not negate
        return Condition(text, (reference,), lambda view: truth(find(view)) is wanted)
    expected = literal[1:-1]
    same = (operator == "==") is not bool(negate)
    return Condition(text, (reference,), lambda view: _equals(find(view), expected) is same)


def truth(value: Any) -> bool:
    """Tell whether a value counts as true: not null, false, "", 0, [] or {}."""
    return bool(value)


def _equals(value: Any, text: str) -> bool:
    if isinstance(value, str):
        return value == text
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    return isinstance(value, int | float) and json.dumps(value) == text


def _cel(text: str, names: frozenset[str], dialect: Dialect) -> Condition:
    rewritten, references, presence = _operands(text, names)
    if _depth(rewritten) > _DEEPEST:
        raise ExpressionError(f"a condition is nested deeper than {_DEEPEST} levels", code="AF-CONDITION-SYNTAX")
    variables = [f"_r{number}" for number in range(len(references))]
    variables += [f"_h{number}" for number in range(len(presence))]
    try:
        program = compile_cel(rewritten, tuple(variables))
    except ExpressionError as error:
        message = _readable(error.what, references, presence)
        hint = None if "undeclared" not in message else "names are input, steps, env, item, index, with, run, context"
        raise ExpressionError(
            f'the condition "{_cut(text)}" can\'t be understood: {message}', code="AF-CONDITION-SYNTAX",
            length=len(text), hint=hint,
        ) from None  # fmt: skip
    lookups = [(f"_r{n}", reference, resolver(reference, dialect)) for n, reference in enumerate(references)]
    checks = [(f"_h{n}", resolver(_strict(reference), dialect)) for n, reference in enumerate(presence)]

    def evaluate(view: View) -> bool:
        data: dict[str, Any] = {}
        absent: list[str] = []
        for name, reference, find in lookups:
            value = find(view)
            if value is None:
                absent.append(reference.text)
            try:
                data[name] = bindable(value)
            except ValueError as error:
                raise _failed(f'"{reference.text}" is too large for a condition: {error}') from None
        for name, find in checks:
            data[name] = _present(find, view)
        fine, result = evaluate_cel(program, data)
        if not fine or not isinstance(result, bool):
            raise _explain(text, fine, result, absent, references, presence)
        return result

    return Condition(text, tuple(references) + tuple(presence), evaluate)


def _strict(reference: Reference) -> Reference:
    return Reference(reference.text, reference.namespace, reference.path, reference.offset, reference.length, False)


def _present(find: Callable[[View], Any], view: View) -> bool:
    try:
        return find(view) is not None
    except ReferenceMissing:
        return False


def _failed(message: str, hint: str | None = None) -> StepError:
    return StepError(message, code="AF-CONDITION-FAILED", kind="reference", retryable=False, hint=hint)


def _explain(
    text: str, fine: bool, result: Any, absent: list[str], references: list[Reference], presence: list[Reference]
) -> StepError:
    if fine:
        kind = "null" if result is None else type(result).__name__
        return _failed(f'the condition "{_cut(text)}" gives {kind}, not true or false')
    message = _readable(str(result), references, presence)
    if absent:
        names = ", ".join(absent)
        return _failed(
            f'the condition "{_cut(text)}" can\'t be evaluated: {names} has no value', "test it first: x != null && …"
        )
    hint = "write numbers of one kind: 2.0 instead of 2, or double(x)" if "overload" in message else None
    if "udget" in message:
        hint = "make the list shorter first: by JSONPath, a set step or a python step"
    return _failed(f'the condition "{_cut(text)}" can\'t be evaluated: {message}', hint)


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"


def _readable(message: str, references: list[Reference], presence: list[Reference]) -> str:
    for number, reference in reversed(list(enumerate(references))):
        message = message.replace(f"_r{number}", reference.text)
    for number, reference in reversed(list(enumerate(presence))):
        message = message.replace(f"_h{number}", f"has({reference.text})")
    return message.splitlines()[0] if message else message


def _depth(text: str) -> int:
    deepest = depth = 0
    for piece in _TOKEN.findall(text):
        if piece in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif piece in ")]}":
            depth -= 1
    return deepest


def _operands(text: str, names: frozenset[str]) -> tuple[str, list[Reference], list[Reference]]:
    """Replace references by variables, `{…}` and bare ones alike, but not in texts, nor the macros' own variables."""
    bound = set(_MACRO.findall(text))
    references: list[Reference] = []
    presence: list[Reference] = []
    pieces: list[str] = []
    position = 0
    previous = ""
    while position < len(text):
        if text[position] == "{" and (end := _braced(text, position, names)) is not None:
            parts, _ = split(text[position:end], names)
            found = cast("Reference", parts[0])
            references.append(_placed(found, position))
            pieces.append(f"_r{len(references) - 1}")
            position, previous = end, "x"
            continue
        has = _HAS.match(text, position)
        if has is not None and has[1] in names and has[1] not in bound:
            reference = make_reference(has[1], has[2], optional=False, offset=has.start(1), length=len(has[1] + has[2]))
            presence.append(reference)
            pieces.append(f"_h{len(presence) - 1}")
            position, previous = has.end(), ")"
            continue
        token = _TOKEN.match(text, position)
        piece = token[0] if token is not None else text[position]
        if piece in names and piece not in bound and previous != ".":
            reference, position = _bare(text, position)
            references.append(reference)
            pieces.append(f"_r{len(references) - 1}")
            previous = "x"
            continue
        pieces.append(piece)
        position += len(piece)
        previous = piece if not piece.isspace() else previous
    return "".join(pieces), references, presence


def _placed(reference: Reference, offset: int) -> Reference:
    return Reference(
        reference.text, reference.namespace, reference.path, offset, reference.length, True, reference.jsonpath
    )


def _braced(text: str, start: int, names: frozenset[str]) -> int | None:
    """Return the end of a `{reference}`, or None where the brace begins a CEL map."""
    end = start
    while (end := text.find("}", end)) >= 0:
        end += 1
        try:
            parts, _ = split(text[start:end], names)
        except ExpressionError:
            continue
        return end if len(parts) == 1 and isinstance(parts[0], Reference) else None
    return None


def _bare(text: str, start: int) -> tuple[Reference, int]:
    """Read a reference without braces; a last part before `(` is a method of CEL's, and a dash a minus."""
    end = start
    while text[end : end + 1].isalnum() or text[end : end + 1] == "_":
        end += 1
    namespace = text[start:end]
    segment = re.compile(r"\.[A-Za-z_][A-Za-z0-9_]*|\.\d+|\[\d+\]|\[\"[^\"]*\"\]|\['[^']*'\]")
    first = True
    while (found := segment.match(text, end)) is not None:
        stop = found.end()
        if namespace == "steps" and first and text[end] == ".":
            # ids may hold dashes: take them with the id where no space is around
            dashed = re.compile(r"\.[A-Za-z_][A-Za-z0-9_-]*").match(text, end)
            stop = dashed.end() if dashed is not None else stop
        if text[stop : stop + 1] == "(":
            break
        end, first = stop, False
    reference = make_reference(
        namespace, text[start + len(namespace) : end], optional=True, offset=start, length=end - start
    )
    return reference, end


# filters of published events


def filter_matches(wanted: Any, data: Any) -> bool:
    """Tell whether an event's data is what a wait asks for.

    Args:
        wanted: None or empty: anything; a mapping of (dotted) keys to values; or a CEL condition over `event`.
        data: the event's data.
    """
    if not wanted:
        return True
    if isinstance(wanted, str):
        try:
            return _filter(wanted).evaluate(_EventView(data))
        except (ExpressionError, StepError):
            return False
    return all(_dig(data, key) == value for key, value in cast("Mapping[str, Any]", wanted).items())


def _dig(data: Any, key: str) -> Any:
    if is_object(data) and key in data:
        return data[key]
    for part in key.split("."):
        if not is_object(data):
            return None
        data = data.get(part)
    return data


@lru_cache(maxsize=512)
def _filter(text: str) -> Condition:
    return compile_condition(text, frozenset({"event"}))


class _EventView:
    def __init__(self, data: Any) -> None:
        self._data = data

    def get(self, namespace: str) -> object:
        if namespace == "event":
            return self._data
        raise KeyError(namespace)

    def step(self, step_id: str) -> object:
        raise KeyError(step_id)

    def optional(self, namespace: str, path: tuple[str | int, ...]) -> bool:
        return True

    def search(self, name: str) -> object:
        raise KeyError(name)
