"""What people are told about conditions that can't be understood or decided: CEL's messages in the user's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agentflow.definition.suggest import meant
from agentflow.errors import StepError
from agentflow.expressions.cel import Fault
from agentflow.expressions.failures import (
    Absent,
    ExpressionError,
    ReferenceMissing,
    cut,
    kind_of,
    missing,
)
from agentflow.expressions.grammar import Grammar
from agentflow.expressions.operands import Rewritten, Variable
from agentflow.expressions.view import View

_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_SYNTAX = re.compile(
    r"Syntax error: (mismatched input|extraneous input|no viable alternative at input|token recognition error at:"
    r"|missing) ?('.*?')?"
)
_RESERVED = re.compile(r"reserved identifier: (\w+)")
_SAID = {
    "incompatible function arguments": "it isn't valid Unicode",
    "variable name must be": "the first thing in all(…), exists(…), map(…) and filter(…) is a name, such as x",
    "has() argument must be": "has(…) takes a reference or a field, such as has(x.name)",
    "operand of a select": "what stands here has no fields",
}
_OVERLOAD = re.compile(r"(?:found )?no matching overload(?:s found)? ?:? ?(?:for )?'?([^'(]*)'?(.*)", re.IGNORECASE)
_OPERATOR = re.compile(r"^!?_?(==|!=|<=|>=|<|>|\+|-|\*|/|%|&&|\|\||!|@in|\[\])_?$")
_FUNCTIONS = (
    "all", "contains", "double", "duration", "endsWith", "exists", "exists_one", "filter", "has", "int", "map",
    "matches", "size", "startsWith", "string", "timestamp",
)  # fmt: skip
_KINDS = {
    "int": "a whole number", "int64": "a whole number",
    "uint": "a whole number beyond 2^63", "uint64": "a whole number beyond 2^63",
    "double": "a decimal number",
    "string": "a text", "bool": "a boolean", "null_type": "null", "list": "a list", "map": "an object",
    "dyn": "a value", "bytes": "bytes", "timestamp": "a time", "duration": "a duration",
}  # fmt: skip
_BRACED = "no braces are needed here; a reference may have one on each side: {steps.fetch.count} > 3"
_STATES = {"always": "finally", "failure": "on_failure", "success": "on_success", "cancelled": "finally"}
"""Functions of GitHub's conditions → the lists of steps that are run then."""
_MIXED = "numbers must be of one kind here: write 2.0 instead of 2, or double(x)"
GIVE_TEXT = "give such a number as a text: texts are compared exactly"
_SHOWN = 80


def _short(text: str) -> str:
    return cut(" ".join(text.split()), _SHOWN)


def failed(text: str, why: str, hint: str | None = None) -> StepError:
    """Make the error of a condition that can't be decided."""
    return StepError(
        f'the condition "{_short(text)}" can\'t be decided: {why}',
        code="AF-CONDITION-FAILED", kind="reference", retryable=False, hint=hint,
    )  # fmt: skip


def not_understood(text: str, fault: Fault, rewritten: Rewritten, words: Grammar) -> ExpressionError:
    """Make the error of a condition that isn't CEL, with the place in the text as it was written."""
    offset, length = _place(text, fault, rewritten)
    why, label, hint = fault.message, None, None
    undeclared = _UNDECLARED.search(why)
    if undeclared is not None:
        name = undeclared[1].removeprefix(".")
        offset, length = _find(text, name, offset, length)
        why, label, hint = _unknown(text, name, offset, words)
    elif "recursion" in why:
        why, offset, length = "it is nested too deep, or has too long a chain of operators", 0, len(text)
        hint = "at most 32 levels; chains of && and || may be longer"
    elif (syntax := _SYNTAX.search(why)) is not None:
        why = _syntax(syntax, text, offset)
        hint = _BRACED if "{{" in text else None
    elif (reserved := _RESERVED.search(why)) is not None:
        why, length = f'"{reserved[1]}" can\'t stand here', len(reserved[1])
    elif "invalid int literal" in why:
        found = re.match(r"-?\d+", text[offset:])
        length = len(found[0]) if found is not None else length
        why = "a whole number beyond 2^63 ends in u, and has at most 64 bits"
        hint = f"write {text[offset : offset + length]}u"
    else:
        offset, length = (offset, length) if fault.line else (0, len(text))
        hint = _MIXED if "int" in why and "double" in why else None
        said = next((said for sign, said in _SAID.items() if sign in why), None)
        why = said or _overload(why) or "this part means nothing in a condition"
    what = f'the condition "{_short(text)}" can\'t be understood: {why}'
    return ExpressionError(what, code="AF-CONDITION-SYNTAX", offset=offset, length=length, label=label, hint=hint)


def _place(text: str, fault: Fault, rewritten: Rewritten) -> tuple[int, int]:
    lines = rewritten.text.split("\n")
    before = sum(len(line) + 1 for line in lines[: max(fault.line - 1, 0)])
    offset, length = rewritten.origin(before + max(fault.column - 1, 0))
    return min(offset, max(len(text) - 1, 0)), length


def _find(text: str, name: str, offset: int, length: int) -> tuple[int, int]:
    """Return the place of a name near the place that the library told, which for calls is the bracket's."""
    for start in (offset, max(offset - len(name), 0), text.find(name)):
        if start >= 0 and text.startswith(name, start):
            return start, len(name)
    return offset, length


def _unknown(text: str, name: str, offset: int, words: Grammar) -> tuple[str, str | None, str | None]:
    if text[offset + len(name) :].lstrip().startswith("("):
        hint = f"steps for that stand in the workflow's list `{_STATES[name]}`" if name in _STATES else None
        return f'there is no function "{name}"', meant(name, _FUNCTIONS), hint
    first = name.partition(".")[0]
    label = meant(first, [one for one in words.names if abs(len(one) - len(first)) < 2])
    hint = f'a text needs quotes: "{first}"' if re.search(r"[=!]=\s*$", text[:offset]) else None
    if label is None and hint is None:
        hint = f"names begin with {', '.join(sorted(words.names))}; a text needs quotes"
    return f'unknown name "{name}"', label, hint


def _syntax(found: re.Match[str], text: str, offset: int) -> str:
    shown = (found[2] or "").strip("'")
    if found[1] == "missing":
        return f'a "{shown}" is missing'
    if "EOF" in shown or not text[offset:].strip() or offset >= len(text):
        return "it ends too early"
    if found[1].startswith("token"):
        quote = shown[:1] in ("'", '"') or found[2] in ("'''", "''")
        return "a text isn't closed" if quote else f'"{cut(text[offset], 20)}" can\'t stand here'
    word = re.match(r"\w+|&&|\|\||[=!<>]=|.", text[offset:], re.DOTALL)
    return f'"{cut(word[0], 40) if word is not None else shown}" can\'t stand here'


def _plain(message: str, rewritten: Rewritten) -> str:
    """Put references back where variables stand."""
    texts = {variable.name: variable.operand.reference.text for variable in rewritten.variables}
    return cut(re.sub(r"\b_r\d+\b", lambda found: texts.get(found[0], found[0]), message), 200)


def _overload(message: str) -> str | None:
    """Say which operator meets which kinds of values."""
    found = _OVERLOAD.search(message)
    if found is None:
        return None
    if "jump_condition" in message:
        return '"?" needs true or false before it'
    name = _OPERATOR.match(found[1].strip())
    shown = {"@in": "in", "[]": "[…]"}.get(name[1], name[1]) if name is not None else found[1].strip(" _.")
    called = re.search(r"\.(\w+)\(", found[2])
    shown = called[1] if called is not None else shown
    kinds = [_KINDS[kind] for kind in re.findall(r"[a-z_]+\d*", found[2]) if kind in _KINDS]
    return f'"{shown}" doesn\'t work on {" and ".join(kinds) if kinds else "these values"}'


def undecided(text: str, fault: Fault, rewritten: Rewritten, data: Mapping[str, Any], view: View) -> StepError:
    """Make the error of an evaluation that failed; a missing value is named first, as it is nearly always the cause."""
    message = fault.message
    if "budget" in message:
        return failed(
            text, "it looks at more than 10,000 items in all", "make lists smaller first: by a JSONPath or a step"
        )
    overload = _overload(message)
    variable = _culprit(message, rewritten, data)
    if variable is not None:
        return _null(text, variable, view)
    if overload is not None:
        return failed(text, overload, _overload_hint(message, rewritten, data))
    key = re.search(r'Key not found in map : "?([^"]*)"?', message)
    if key is not None:
        return failed(text, f'an object has no "{cut(key[1])}"', 'ask first: has(x.name), or "name" in x')
    if "SELECT" in message:
        return failed(text, "a value that isn't an object has no fields")
    index = re.search(r"index=(-?\d+) size=(\d+)", message)
    if index is not None:
        return failed(text, f"a list of {index[2]} items has no number {index[1]}")
    if "construction from null" in message or "UTF-8" in message:
        return failed(text, "a text in it isn't valid Unicode")
    return failed(text, _plain(message, rewritten))


def _culprit(message: str, rewritten: Rewritten, data: Mapping[str, Any]) -> Variable | None:
    """Return the variable without a value that an error comes from, if it comes from one."""
    typed = re.search(r"\(.*\)", message) is not None
    if "null_type" not in message and (typed or not re.search("overload|SELECT", message)):
        return None
    nulls = [one for one in rewritten.variables if one.role in ("value", "size", "text") and data.get(one.name) is None]
    # a null that is only compared for equality does no harm
    harmful = [
        one
        for one in nulls
        if re.sub(rf"\b{one.name}\b\s*[=!]=|[=!]=\s*{one.name}\b", "", rewritten.text).find(one.name) >= 0
    ]
    return next(iter(harmful or nulls), None)


def _null(text: str, variable: Variable, view: View) -> StepError:
    """Say that a value is missing or null, or has no size."""
    reference = variable.operand.reference
    try:
        value = variable.operand.read(view)
    except Absent as absent:
        error = missing(reference, absent)
        why = f'the condition "{_short(text)}" needs it'
        return ReferenceMissing(reference, f"{error.what}; {why}", f"ask first: {_bare(variable)} != null && …")
    if value is not None:
        return failed(text, f'"{cut(reference.text)}" is {kind_of(value)}, which has no size')
    return ReferenceMissing(
        reference,
        f'"{cut(reference.text)}" has no value: it is null; the condition "{_short(text)}" needs it',
        f"ask first: {_bare(variable)} != null && …",
    )


def _bare(variable: Variable) -> str:
    return cut(variable.operand.reference.text)


def _overload_hint(message: str, rewritten: Rewritten, data: Mapping[str, Any]) -> str | None:
    if re.search(r"_[-+*/%]_\((double, u?int64|u?int64, double)\)", message):
        return _MIXED
    seen = [
        f"{cut(variable.operand.reference.text)} is {kind_of(data[variable.name])}"
        for variable in rewritten.variables[:3]
        if variable.role in ("value", "text", "optional") and variable.name in data
    ]
    return "; ".join(seen) or None
