"""Full JSONPath in templates: `{$.steps.fetch.items[?(@.ok == true)].id}`, by jsonpath-ng. Bounded, and read-only."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias, cast

from agentflow.errors import StepError
from agentflow.expressions.failures import Absent, ExpressionError, cut, is_list, is_mapping
from agentflow.expressions.grammar import Grammar
from agentflow.expressions.reading import Operand, Read, path_reader
from agentflow.expressions.view import NULLED, Parts, Path, Reference, View

_LONGEST = 1000
_MOST_RESULTS = 100_000
_MOST_SEARCHED = 100_000
"""`..` looks through so many values at most: more of them would hold up every other run."""
_ONE_OPERATOR = ("a JSONPath has one operator at most", "compute in steps: set, then set again")
_HINT = "it begins like $.steps.ID or $.input, and a filter looks like [?(@.ok == true)]"

Node: TypeAlias = Any
"""A node of the library's syntax tree; what matters of it is looked at by class name."""


def _quotient(left: float, right: float) -> float:
    """Divide; whole numbers without a remainder give a whole number, exact whatever its size."""
    if isinstance(left, int) and isinstance(right, int) and right and left % right == 0:
        return left // right
    return left / right


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _quotient,
}
_QUOTED = re.compile(r"""\"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`""", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
Root: TypeAlias = tuple[str, Path]
"""A namespace, and the definite parts after it."""


def jsonpath_operand(text: str, start: int, end: int, words: Grammar, at: Path = ()) -> Operand:
    """Make the operand of a JSONPath in braces.

    Raises:
        ExpressionError: it isn't one, begins with no namespace, or has no bounds.
    """
    inner = text[start + 1 : end - 1]
    optional = inner.endswith("?")
    inner = inner.removesuffix("?")
    try:
        tree = _parse(inner)
        shape = _Shape(inner, tree, words)
    except _Refused as refused:
        raise ExpressionError(
            f'"{cut(text[start:end])}": {refused.why}', offset=start, length=end - start, value_path=at,
            hint=refused.hint,
        ) from None  # fmt: skip
    references = [
        Reference(text[start:end], name, path, start, end - start, optional, True, at) for name, path in shape.roots
    ]
    return Operand(references[0], shape.reader(words), tuple(references[1:]))


class _Refused(Exception):
    def __init__(self, why: str, hint: str | None = _HINT) -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint


@lru_cache(maxsize=1024)
def _parse(text: str) -> Node:
    if len(text) > _LONGEST:
        raise _Refused(f"a JSONPath has at most {_LONGEST} characters", None)
    if _syntax(text).count("..") > 1:
        raise _Refused("a JSONPath holds `..` at most once: more of them take without end", None)
    for quoted in _QUOTED.findall(text):
        unknown = next((one for one in re.findall(r"\\(.)", quoted, re.DOTALL) if one not in "\"'\\/"), None)
        if unknown is not None:  # the library would take the letter itself
            raise _Refused(
                f"a quoted text has only \\\\ and escaped quotes, no \\{unknown}", "write the character itself"
            )
    return _divided(text) or _library(text)


def _syntax(text: str) -> str:
    """Return a path with what is quoted blanked: nothing in there is syntax."""
    return _QUOTED.sub(lambda found: "_" * len(found[0]), text)


def _divided(text: str) -> Node | None:
    """Read a division, which the library takes for a direction to sort in; None if it is none."""
    depth, places = 0, list[int]()
    for place, char in enumerate(_syntax(text)):
        depth += (char in "[(") - (char in "])")
        if char == "/" and depth == 0:
            places.append(place)
    if not places:
        return None
    if len(places) > 1:
        raise _Refused(*_ONE_OPERATOR)
    from jsonpath_ng.ext.arithmetic import Operation  # noqa: PLC0415  as below

    left, right = text[: places[0]].strip(), text[places[0] + 1 :].strip()
    return Operation(_divided_side(left), "/", _divided_side(right))


def _divided_side(text: str) -> Node:
    number = _NUMBER.fullmatch(text)
    if number is not None:
        return float(text) if number[1] else int(text)
    return _library(text)


def _library(text: str) -> Node:
    from jsonpath_ng.ext.parser import parse  # noqa: PLC0415  heavy, and few templates need it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            return parse(text)
    except DeprecationWarning as warning:
        raise _Refused(_deprecated(str(warning))) from None
    except RecursionError:
        raise _Refused("it is nested too deep", None) from None
    except Exception as error:  # the library raises its own, and bare Exception too
        raise _Refused(f"this is no JSONPath ({cut(str(error), 100)})") from None


def _deprecated(message: str) -> str:
    if "unquoted" in message:
        return "a text in a filter needs quotes, and the constants are true, false and null"
    return f"this form isn't supported ({cut(message.partition('. ')[0], 100)})"


def _kind(node: Node) -> str:
    return type(node).__name__


def _spine(node: Node) -> list[Node]:
    """Return the parts of a path from left to right; a `..` stands before what is searched."""
    parts: list[Node] = []
    while _kind(node) in ("Child", "Descendants"):
        parts.append(node.right)
        if _kind(node) == "Descendants":
            parts.append(node)
        node = node.left
    parts.append(node)
    return parts[::-1]


def _key(node: Node) -> str | int | None:
    """Return the key or index of a part that leads to at most one value, else None."""
    if _kind(node) == "Fields" and len(node.fields) == 1 and node.fields[0] != "*":
        return str(node.fields[0])
    if _kind(node) == "Index" and len(node.indices) == 1:
        return int(node.indices[0])
    return None


class _Shape:
    """What a JSONPath reads, and in which way; refuses what has no bounds."""

    def __init__(self, text: str, tree: Node, words: Grammar) -> None:
        self.text = text
        self.tree = tree
        self.words = words
        self.roots: list[Root] = []
        self.parts: list[Node] = []
        if _kind(tree) == "Operation":
            self._operation(tree)
            return
        self.parts = _spine(tree)
        self._path(self.parts, whole=True)

    def _operation(self, node: Node) -> None:
        for side in (node.left, node.right):
            if isinstance(side, (int, float)):
                continue
            kind = _kind(side)
            if kind == "Operation":
                raise _Refused(*_ONE_OPERATOR)
            parts = _spine(side) if not isinstance(side, str) else []
            if not parts or _kind(parts[0]) != "Root" or any(_key(part) is None for part in parts[1:]):
                raise _Refused("an operator takes numbers and single values")
            self._path(parts, whole=True)

    def _path(self, parts: list[Node], *, whole: bool) -> None:
        first = _kind(parts[0])
        if first == "Root":
            self.roots.append(self._root(parts[1:]))
        elif whole or first != "This":
            # in a filter, a path begins with @ or $; at the top with $
            raise _Refused("a path begins with $" + ("" if whole else " or @"))
        for number, part in enumerate(parts[1:], 1):
            self._part(part, last=number == len(parts) - 1)

    def _root(self, parts: list[Node]) -> Root:
        keys: list[str | int] = []
        for part in parts:
            key = _key(part)
            if key is None:
                break
            keys.append(key)
        name = keys[0] if keys else None
        if not isinstance(name, str) or name not in self.words.names:
            raise _Refused("it must begin with a namespace")
        if name == "steps" and len(keys) < 2:
            raise _Refused("it must name a step: $.steps.ID")
        path = tuple(keys[1:])
        return name, (str(path[0]), *path[1:]) if name in ("steps", "env", "context") and path else path

    def _part(self, part: Node, *, last: bool) -> None:
        kind = _kind(part)
        if kind in ("Fields", "Index", "Slice", "Wildcard", "Descendants"):
            return
        if kind in ("Len", "Keys") and last:
            return
        if kind == "Filter":
            for expression in part.expressions:
                self._test(expression)
            return
        raise _Refused("this part of JSONPath isn't supported here", "use names, indexes, slices, *, .. and filters")

    def _test(self, node: Node) -> None:
        if _kind(node) in ("And", "Or"):
            for operand in node.operands:
                self._test(operand)
            return
        if _kind(node) != "Expression":
            raise _Refused("this filter isn't supported here")
        if node.op == "=~":
            raise _Refused("a filter has no regular expressions", "filter in a python step, or by a condition")
        if _kind(node.target) == "Fields":
            raise _Refused(
                "a filter compares a path that begins with @ or $", 'the path stands first: [?(@.name == "x")]'
            )
        if _kind(node.target) not in ("And", "Or", "Expression"):
            self._path(_spine(node.target), whole=False)
        else:
            self._test(node.target)
        if _is_node(node.value):
            self._path(_spine(node.value), whole=False)

    def reader(self, words: Grammar) -> Read:
        """Return how the value is found: of a definite path the value, of others the list."""
        if _kind(self.tree) == "Operation":
            return _computed(self.text, self.tree, words)
        keys = [_key(part) for part in self.parts[1:]]
        namespace, path = self.roots[0]
        if None not in keys:
            return path_reader(namespace, path, words.dialect)
        last = _kind(self.parts[-1])
        if last in ("Len", "Keys") and None not in keys[:-1]:
            return _measured(path_reader(namespace, path, words.dialect), last)
        return _searched(self.text, self.tree, tuple(dict.fromkeys(self.roots)), words)


def _is_node(value: Any) -> bool:
    return hasattr(value, "find") and not isinstance(value, str)


def _measured(read: Read, what: str) -> Read:
    def measure(view: View) -> Any:
        value = read(view)
        if what == "Keys":
            return list(value) if is_mapping(value) else []
        return len(value) if is_mapping(value) or is_list(value) or isinstance(value, str) else None

    return measure


def _computed(text: str, tree: Node, words: Grammar) -> Read:
    operate = _OPERATORS[tree.op_symbol]
    sides = [_side(tree.left, words), _side(tree.right, words)]

    def compute(view: View) -> Any:
        left, right = (side(view) for side in sides)
        for value in (left, right):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                _fail(f'"{text}" needs numbers on both sides of {tree.op_symbol}')
        try:
            return operate(left, right)
        except (ArithmeticError, ValueError):
            _fail(f'"{text}" can\'t be computed')

    return compute


def _side(node: Node, words: Grammar) -> Read:
    if isinstance(node, (int, float)):
        return lambda _: node
    name, *path = [_key(part) for part in _spine(node)[1:]]
    parts = [part for part in path if part is not None]
    return path_reader(str(name), tuple(parts), words.dialect)


def _fail(what: str, hint: str | None = None) -> NoReturn:
    raise StepError(cut(what, 200), code="AF-REF-JSONPATH", kind="reference", retryable=False, hint=hint)


def _searched(text: str, tree: Node, roots: tuple[Root, ...], words: Grammar) -> Read:
    search = words.dialect == "distri"
    deep = ".." in _syntax(text)

    def find(view: View) -> Any:
        root: dict[str, Any] = {}
        for name, path in roots:
            _provide(root, name, path, view, search=search)
        if deep and _more_than(_MOST_SEARCHED, root):
            _fail(f'"{text}" looks through more than {_MOST_SEARCHED:,} values', "write the path without ..")
        try:
            found = tree.find(root)
        except RecursionError:
            _fail(f'"{text}" looks into values that are nested too deep')
        if len(found) > _MOST_RESULTS:
            _fail(f'"{text}" finds more than {_MOST_RESULTS:,} values', "take a part of them: by a slice or a filter")
        return [match.value for match in found]

    return find


def _more_than(most: int, value: Any) -> bool:
    """Tell whether there are more values than that in a value, itself counted."""
    stack, seen = [value], 0
    while stack and seen <= most:
        item = stack.pop()
        seen += 1
        if isinstance(item, dict):
            stack.extend(cast("dict[str, Any]", item).values())
        elif isinstance(item, list):
            stack.extend(cast("list[Any]", item))
    return seen > most


def _provide(root: dict[str, Any], name: str, path: Path, view: View, *, search: bool) -> None:
    """Put into the root object what one path begins with, and no more."""
    try:
        if name == "steps" or (name == "context" and search and path):
            key = str(path[0])
            value = view.step(key) if name == "steps" else view.search(key)
            root.setdefault(name, {})[key] = _plain(value)
        else:
            value = view.get(name)
            if isinstance(value, Parts):
                value.fill(root.setdefault(name, {}), path)
            else:
                root[name] = _plain(value)
    except KeyError as error:
        raise Absent(-1, error.args[0] if error.args and name == "steps" else None) from None


def _plain(value: object) -> Any:
    if value is NULLED:
        return None
    return dict(value) if is_mapping(value) and not isinstance(value, dict) else value
