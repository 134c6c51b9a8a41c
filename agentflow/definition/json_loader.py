"""JSON with duplicate keys refused, and the positions of values found when an error asks for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from json import decoder
from typing import Any

from agentflow.data import is_array, is_object, read_number
from agentflow.definition.nodes import Node
from agentflow.definition.places import MAX_DEPTH, depth_exceeds, spot
from agentflow.errors import DefinitionError, Problem
from agentflow.unfit import UnfitError

_scan: Callable[[str, int, bool], tuple[str, int]] = decoder.scanstring  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]  not in the stubs
_SPACE = re.compile(r"[ \t\n\r]*")
_ATOM = re.compile(r"[^\s,\]}]*")
_NUMBER = re.compile(r"-?[0-9]|NaN$|-?Infinity$")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _Duplicate(Exception):
    pass


class _Unread(Exception):
    """A number is out of range."""


def load_json(text: str, file: str) -> Any:
    """Return the data of a JSON text.

    Raises:
        DefinitionError: syntax, duplicate keys, NaN, nested deeper than 100.
    """
    try:
        data = json.loads(
            text, object_pairs_hook=_pairs, parse_constant=_number, parse_float=_number, parse_int=_number
        )
    except json.JSONDecodeError as error:
        place = spot(file, text, min(error.pos, max(len(text.rstrip()) - 1, 0)), error.pos + 1)
        raise DefinitionError(
            [Problem("AF-JSON-SYNTAX", f"not valid JSON: {_words(error.msg)}", place=place)]
        ) from None
    except _Duplicate as error:
        raise DefinitionError(_duplicates(text, file) or [_plain(str(error))]) from None
    except RecursionError:
        raise DefinitionError([_depth(text, file)]) from None
    except _Unread:
        raise DefinitionError(_numbers(text, file)) from None
    if depth_exceeds(data):
        raise DefinitionError([_depth(text, file)])
    if _SURROGATE.search(text) and _has_surrogate(data):
        found = _SURROGATE.search(text)
        at = found.start() if found else 0
        raise DefinitionError(
            [Problem("AF-JSON-SYNTAX", "not valid JSON: half of a character pair", place=spot(file, text, at, at + 6))]
        )
    return data


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _Duplicate("a key appears twice in one object")
    return result


def _number(text: str) -> int | float:
    try:
        return read_number(text)
    except UnfitError:
        raise _Unread from None


def _numbers(text: str, file: str) -> list[Problem]:
    """Return the numbers that no value has, with their places."""
    problems: list[Problem] = []
    lines: list[int] = []
    stack = [_Walker(text).walk()[0]]
    while stack:
        node = stack.pop()
        stack.extend(child for _, child in reversed((node.children or {}).values()))
        if node.children is not None or node.style or not _NUMBER.match(node.value):
            continue
        try:
            read_number(node.value)
        except UnfitError as error:
            words = f"{error.reason}; quote it if it is meant as text"
            problems.append(Problem("AF-NUMBER-RANGE", words, place=spot(file, text, node.start, node.end, lines)))
    return problems


def _words(message: str) -> str:
    message = message[:1].lower() + message[1:]
    return message.replace("expecting", "expected").replace("property name enclosed in double quotes", 'a "key"')


def _plain(message: str) -> Problem:
    return Problem("AF-KEY-DUPLICATE", message)


def _depth(text: str, file: str) -> Problem:
    level, quoted, at = 0, False, 0
    for token in re.finditer(r'\\.|["\[\]{}]', text):
        char = token[0]
        if char == '"':
            quoted = not quoted
        elif not quoted and char in "[{":
            level += 1
            if level > MAX_DEPTH:
                at = token.start()
                break
        elif not quoted and char in "]}":
            level -= 1
    return Problem(
        "AF-DEFINITION-DEPTH",
        f"values are nested deeper than {MAX_DEPTH} levels",
        place=spot(file, text, at, at + 1),
        hint="move the inner part into a workflow of its own and call it",
    )


def _has_surrogate(data: Any) -> bool:
    stack: list[Any] = [data]
    while stack:
        value = stack.pop()
        if is_object(value):
            stack.extend(value)
            stack.extend(value.values())
        elif is_array(value):
            stack.extend(value)
        elif isinstance(value, str) and not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            return True
    return False


def _duplicates(text: str, file: str) -> list[Problem]:
    problems: list[Problem] = []
    lines: list[int] = []
    for key, first, again in _Walker(text).walk()[1]:
        place = spot(file, text, again.start, again.end, lines)
        before = spot(file, text, first.start, first.end, lines)
        problems.append(
            Problem(
                "AF-KEY-DUPLICATE",
                f'key "{key}" appears twice in one object',
                place=place,
                label=f"first at {before.line}:{before.column}",
            )
        )
    return problems


def json_nodes(text: str) -> Node:
    """Return the positions of a text that was loaded before."""
    return _Walker(text).walk()[0]


class _Walker:
    """Walks over valid JSON text with a stack of its own."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.duplicates: list[tuple[str, Node, Node]] = []

    def walk(self) -> tuple[Node, list[tuple[str, Node, Node]]]:
        root = Node(0, 0, children={})
        stack = [root]
        key: Node | None = None
        position = self.space(0)
        while position < len(self.text):
            char = self.text[position]
            top = stack[-1]
            if char in "]}":
                top.end = position + 1
                stack.pop()
                position += 1
            elif char == "," or char == ":":
                position += 1
            elif char == '"' and self.text[top.start] == "{" and len(stack) > 1 and key is None:
                key = self.string(position)
                position = key.end
            else:
                node = self.value(position)
                self.put(top, key, node)
                key = None
                position = node.end
                if node.children is not None:
                    stack.append(node)
                    position = node.start + 1
            position = self.space(position)
        children = root.children or {}
        return (next(iter(children.values()))[1] if children else root), self.duplicates

    def put(self, top: Node, key: Node | None, node: Node) -> None:
        children = top.children
        if children is None:
            return
        if key is None:
            children[str(len(children))] = (None, node)
            return
        before = children.get(key.value)
        if before is not None and before[0] is not None:
            self.duplicates.append((key.value, before[0], key))
        children[key.value] = (key, node)

    def value(self, position: int) -> Node:
        char = self.text[position]
        if char in "[{":
            return Node(position, position + 1, children={})
        if char == '"':
            return self.string(position)
        found = _ATOM.match(self.text, position)
        end = found.end() if found else position + 1
        return Node(position, max(end, position + 1), value=self.text[position:end])

    def string(self, position: int) -> Node:
        value, end = _scan(self.text, position + 1, True)
        return Node(position, end, "json", value)

    def space(self, position: int) -> int:
        found = _SPACE.match(self.text, position)
        return found.end() if found else position
