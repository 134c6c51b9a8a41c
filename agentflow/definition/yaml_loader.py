"""YAML by events: YAML 1.2 core scalars, and nothing that surprises (no tags, no merge keys, no late duplicates).

Only the parser's events are used. Its own constructors recurse in C, read `yes` as true and drop duplicate keys.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import yaml

from agentflow.definition.nodes import Node
from agentflow.definition.places import MAX_DEPTH, spot
from agentflow.definition.yaml_faults import quoting, syntax_problem, template_mapping
from agentflow.definition.yaml_text import Restore, half_pair, readable
from agentflow.errors import DefinitionError, Place, Problem

MAX_NODES = 1_000_000
_LOADER = yaml.CSafeLoader if getattr(yaml, "__with_libyaml__", False) else yaml.SafeLoader
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INT = re.compile(r"[-+]?[0-9]+").fullmatch
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+").fullmatch
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?").fullmatch
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)").fullmatch
_NUMERIC = frozenset("0123456789-+.")


def load_yaml(text: str, file: str) -> Any:
    """Return the plain JSON data of one YAML document.

    Raises:
        DefinitionError: with every problem found.
    """
    return _Builder(text, file, nodes=False).build()[0]


def yaml_nodes(text: str) -> Node:
    """Return the positions of a document that was loaded before."""
    return _Builder(text, "", nodes=True).build()[1]


def resolve(text: str) -> Any:
    """Read a plain scalar as YAML 1.2's core schema says.

    Raises:
        ValueError: a number without a JSON form.
    """
    if text in _NULL:
        return None
    first = text[0]
    if first in _NUMERIC:
        if _INT(text):
            return _integer(text, 10)
        if _BASED(text):
            return _integer(text[2:], 8 if text[1] == "o" else 16)
        if _SPECIAL(text):
            raise ValueError("infinity and NaN have no JSON form; quote it if it is meant as text")
        if _FLOAT(text):
            number = float(text)
            if not math.isfinite(number):
                raise ValueError("the number is too large; quote it if it is meant as text")
            return number
        return text
    if text in _TRUE:
        return True
    return False if text in _FALSE else text


def _integer(digits: str, base: int) -> int:
    try:
        return int(digits, base)
    except ValueError:
        raise ValueError("the number has too many digits; quote it if it is meant as text") from None


@dataclass(slots=True)
class _Frame:
    """A container that is still open."""

    data: Any
    mapping: bool
    node: Node | None
    anchor: str | None
    start: int
    flow: bool
    key: str | None = None
    key_node: Node | None = None
    first_value_empty: bool = False
    size: int = 1
    height: int = 1
    starts: dict[str, int] = field(default_factory=dict[str, int])


class _Builder:
    def __init__(self, text: str, file: str, *, nodes: bool) -> None:
        self.text = text
        self.file = file
        self.nodes = nodes
        self.restore: Restore | None = None
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Any, Node | None, int, int]] = {}
        self.problems: list[Problem] = []
        self.lines: list[int] = []
        self.total = 0
        self.documents = 0
        self.result: Any = None
        self.root = Node(0, 0)

    def build(self) -> tuple[Any, Node]:
        handlers: dict[type[Any], Callable[[Any], None]] = {
            yaml.ScalarEvent: self.scalar,
            yaml.MappingStartEvent: self.open_mapping,
            yaml.SequenceStartEvent: self.open_sequence,
            yaml.MappingEndEvent: self.close,
            yaml.SequenceEndEvent: self.close,
            yaml.AliasEvent: self.alias,
            yaml.DocumentStartEvent: self.document,
        }
        source, self.restore = readable(self.text)
        try:
            for kind, event in _events(source):
                handler = handlers.get(kind)
                if handler is not None:
                    handler(event)
        except (yaml.YAMLError, UnicodeEncodeError) as error:
            if not any(problem.code == "AF-YAML-TEMPLATE" for problem in self.problems):  # which it follows from
                self.problems.append(syntax_problem(error, self.text, self.file))
        except _Stop:
            pass
        if self.problems and not self.nodes:
            raise DefinitionError(self.problems)
        return self.result, self.root

    def problem(self, code: str, message: str, start: int, end: int, **more: Any) -> None:
        self.problems.append(Problem(code, message, place=self.place(start, end), **more))

    def place(self, start: int, end: int) -> Place:
        return spot(self.file, self.text, start, end, self.lines)

    def document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            start = event.start_mark.index
            self.problem(
                "AF-YAML-DOCUMENTS",
                "a file holds one document, and here a second one begins",
                start,
                start + 3,
                hint="put the second one into a file of its own and use `include:`",
            )
            raise _Stop

    def scalar(self, event: Any) -> None:
        text = cast("str", event.value)
        plain = event.style in ("", None)  # the C parser says '', the Python one None
        start, end = event.start_mark.index, event.end_mark.index
        if self.restore is not None:
            text = self.restored(self.restore, text, event.style == '"', start, end)
        if event.tag is not None:
            self.tagged(event)
        parent = self.stack[-1] if self.stack else None
        node = Node(start, end, event.style or "", text) if self.nodes else None
        if parent is not None and parent.key is None and parent.mapping:
            self.open_key(parent, text, start, end, plain, node)
            return
        value: Any = text
        if plain:
            try:
                value = resolve(text)
            except ValueError as error:
                self.problem("AF-NUMBER-RANGE", str(error), start, end)
        if node is not None:
            node.value = value
        if event.anchor:
            self.anchors[event.anchor] = (value, node, 1, 0)
        if parent is not None:
            parent.first_value_empty = parent.size == 1 and plain and text == ""
        self.add(value, node, 1, 0)

    def restored(self, restore: Restore, text: str, quoted: bool, start: int, end: int) -> str:
        try:
            return restore(text, quoted)
        except ValueError:
            at = half_pair(self.text, start, end)
            self.problem("AF-YAML-SYNTAX", "not valid YAML: half of a character pair", at, at + 6)
            return ""

    def open_key(self, frame: _Frame, text: str, start: int, end: int, plain: bool, node: Node | None) -> None:
        frame.key, frame.key_node = text, node
        if plain and text == "<<":
            self.problem(
                "AF-YAML-MERGE",
                "merge keys (`<<`) aren't supported",
                start,
                end,
                hint="repeat the fields, or use an anchor (`&name`) and an alias (`*name`) for a whole value",
            )
        if text in frame.starts:
            first = self.place(frame.starts[text], frame.starts[text] + 1)
            self.problem(
                "AF-KEY-DUPLICATE",
                f'key "{text}" appears twice in one mapping',
                start,
                end,
                label=f"first at {first.line}:{first.column}",
            )
        else:
            frame.starts[text] = start

    def open_mapping(self, event: Any) -> None:
        self.open({}, True, event)

    def open_sequence(self, event: Any) -> None:
        self.open([], False, event)

    def open(self, data: Any, mapping: bool, event: Any) -> None:
        start = event.start_mark.index
        if event.tag is not None:
            self.tagged(event)
        parent = self.stack[-1] if self.stack else None
        if parent is not None and parent.key is None and parent.mapping:
            self.problem(
                "AF-YAML-KEY",
                "a key must be a text, not a list or a mapping",
                start,
                start + 1,
                hint='quote a text that begins with a brace: "{input.x}"',
            )
            raise _Stop
        if len(self.stack) >= MAX_DEPTH:
            self.too_deep(start)
        node = Node(start, start, children={}) if self.nodes else None
        self.stack.append(_Frame(data, mapping, node, event.anchor, start, bool(event.flow_style)))

    def close(self, event: Any) -> None:
        frame = self.stack.pop()
        end = event.end_mark.index
        if frame.node is not None:
            frame.node.end = end
        if frame.flow and frame.first_value_empty and frame.mapping:
            found = template_mapping(frame.data)
            if found:
                self.problem(
                    "AF-YAML-TEMPLATE",
                    f"the template {found} isn't quoted, so YAML reads it as a mapping",
                    frame.start,
                    end,
                    label=quoting(self.text, frame.start, end),
                )
        if frame.anchor:
            self.anchors[frame.anchor] = (frame.data, frame.node, frame.size, frame.height)
        self.add(frame.data, frame.node, frame.size, frame.height)

    def alias(self, event: Any) -> None:
        start, end = event.start_mark.index, event.end_mark.index
        known = self.anchors.get(event.anchor)
        if known is None:
            self.problem("AF-YAML-ALIAS", f"no anchor &{event.anchor} stands before this alias", start, end)
            raise _Stop
        value, node, size, height = known
        self.total += size
        if self.total > MAX_NODES:
            self.problem("AF-YAML-ALIAS", "the aliases repeat more than 1,000,000 values", start, end)
            raise _Stop
        if len(self.stack) + height > MAX_DEPTH:
            self.too_deep(start)
        parent = self.stack[-1] if self.stack else None
        if parent is not None and parent.key is None and parent.mapping:
            self.problem("AF-YAML-KEY", "a key must be written out, not be an alias", start, end)
            raise _Stop
        self.add(value, node, size, height)

    def add(self, value: Any, node: Node | None, size: int, height: int) -> None:
        if not self.stack:
            self.result = value
            self.root = node or self.root
            return
        frame = self.stack[-1]
        frame.size += size
        if height >= frame.height:
            frame.height = height + 1
        data: Any = frame.data
        if not frame.mapping:
            if node is not None and frame.node is not None and frame.node.children is not None:
                frame.node.children[str(len(data))] = (None, node)
            data.append(value)
            return
        key = frame.key or ""
        data[key] = value
        if node is not None and frame.node is not None and frame.node.children is not None:
            frame.node.children[key] = (frame.key_node, node)
        frame.key = None

    def tagged(self, event: Any) -> None:
        start = event.start_mark.index
        self.problem(
            "AF-YAML-TAG",
            f"tags such as {self.text[start:].split(None, 1)[0]} aren't supported",
            start,
            event.end_mark.index,
            hint="quote a value that must stay text",
        )

    def too_deep(self, start: int) -> None:
        self.problem(
            "AF-DEFINITION-DEPTH",
            f"values are nested deeper than {MAX_DEPTH} levels",
            start,
            start + 1,
            hint="move the inner part into a workflow of its own and call it",
        )
        raise _Stop


class _Stop(Exception):
    """Ends the parsing after a problem that leaves nothing to go on with."""


def _events(source: str) -> Iterator[tuple[type[Any], Any]]:
    """Yield the parser's events with their types, without asking before each of them whether there is one."""
    following: Callable[[], Any] = cast("Any", _LOADER(source)).get_event
    while (event := following()) is not None:
        yield cast("type[Any]", type(event)), event
