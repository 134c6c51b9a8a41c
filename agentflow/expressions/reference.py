"""References: `steps.fetch.body.items[0].id`, and how they find their value."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias, cast

from agentflow.expressions.view import NULLED, ExpressionError, ReferenceMissing, View

Dialect: TypeAlias = Literal["agentflow", "distri"]
Resolve: TypeAlias = Callable[[View], Any]

SEGMENT = r"(?:\.[A-Za-z0-9_][A-Za-z0-9_-]*|\[-?\d+\]|\[\"[^\"]*\"\]|\['[^']*'\])"
NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
_PART = re.compile(r"\.([A-Za-z0-9_][A-Za-z0-9_-]*)|\[(-?\d+)\]|\[\"([^\"]*)\"\]|\['([^']*)'\]")
_LONGEST_PATH = 1000


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference in a template or a condition."""

    text: str
    """As written, without braces."""
    namespace: str
    path: tuple[str | int, ...]
    """What follows the namespace; of `steps` the step's id comes first."""
    offset: int = 0
    """Where it begins in its string; the braces count."""
    length: int = 0
    optional: bool = False
    """Written with `?`: a missing value is null."""
    jsonpath: bool = False
    value_path: tuple[str | int, ...] = ()
    """Where in the template value its string stands."""

    @property
    def step_id(self) -> str | None:
        """The step that it reads."""
        return str(self.path[0]) if self.namespace == "steps" and self.path else None


def parse_path(text: str) -> tuple[str | int, ...]:
    """Split `.body.items[0]["a b"]` into its parts; digits are indexes."""
    parts: list[str | int] = []
    for found in _PART.finditer(text):
        dotted, index, double, single = found.groups()
        if index is not None:
            parts.append(int(index))
        elif dotted is not None:
            parts.append(int(dotted) if dotted.isdigit() else dotted)
        else:
            parts.append(double if double is not None else single)
    return tuple(parts)


def make_reference(
    namespace: str, path: str, *, optional: bool, offset: int, length: int, value_path: tuple[str | int, ...] = ()
) -> Reference:
    """Make a reference of its namespace and the text after it.

    Raises:
        ExpressionError: `steps` without a step, or a path without end.
    """
    if len(path) > _LONGEST_PATH:
        raise ExpressionError("a reference is longer than 1000 characters", offset=offset, length=length)
    parts = parse_path(path)
    if namespace == "steps":
        if not parts:
            raise ExpressionError(
                "{steps} needs a step: {steps.ID}", offset=offset, length=length, value_path=value_path
            )
        parts = (str(parts[0]), *parts[1:])
    return Reference(namespace + path, namespace, parts, offset, length, optional, False, value_path)


def resolver(reference: Reference, dialect: Dialect = "agentflow") -> Resolve:
    """Return what looks a reference up in a view."""
    if reference.jsonpath:
        from agentflow.expressions.jsonpath import jsonpath_resolver  # noqa: PLC0415  its library costs 100 ms

        return jsonpath_resolver(reference)
    namespace, path = reference.namespace, reference.path
    if namespace == "steps":
        first, rest = str(path[0]), path[1:]

        def find(view: View) -> Any:
            try:
                value = view.step(first)
            except KeyError as error:
                return _missing(reference, view, str(error.args[0]) if error.args else "it has none")
            return None if value is NULLED else _descend(reference, value, rest, view)

        return find
    if namespace == "context" and dialect == "distri" and path:
        name, below = str(path[0]), path[1:]

        def search(view: View) -> Any:
            try:
                value = view.search(name)
            except KeyError:
                return _missing(reference, view, f'neither input, steps, env nor context has "{name}"')
            return None if value is NULLED else _descend(reference, value, below, view)

        return search

    def get(view: View) -> Any:
        try:
            value = view.get(namespace)
        except KeyError:
            return _missing(reference, view, f'there is no "{namespace}" here')
        return _descend(reference, value, path, view)

    return get


def _descend(reference: Reference, value: Any, path: tuple[str | int, ...], view: View) -> Any:
    for number, part in enumerate(path):
        try:
            if type(part) is int:
                if isinstance(value, list):
                    value = cast("list[Any]", value)[part]
                    continue
                value = cast("dict[str, Any]", value)[str(part)]
            elif isinstance(value, dict):
                value = cast("dict[str, Any]", value)[str(part)]
            elif value is None and number and _declared(reference, path[:number], view):
                return None
            else:
                return _missing(reference, view, _kinds(value, path[:number]))
        except (KeyError, IndexError, TypeError):
            return _missing(reference, view, _has(value, reference, path[:number]), _near(value, part))
    return value


def _declared(reference: Reference, path: tuple[str | int, ...], view: View) -> bool:
    prefix = reference.path[: len(reference.path) - len(path)] if reference.namespace == "steps" else ()
    return view.optional(reference.namespace, (*prefix[:1], *path))


def _missing(reference: Reference, view: View, why: str, near: str | None = None) -> Any:
    if reference.optional or view.optional(reference.namespace, reference.path):
        return None
    optional = f"{{{reference.text}?}} if it may be missing"
    hint = optional
    if near is not None:
        whole = reference.text.rpartition(".")[0]
        hint = f"{{{whole}.{near}}}, or {optional}"
    raise ReferenceMissing(f'"{{{reference.text}}}" has no value: {why}', hint=hint, data={"reference": reference.text})


def _has(value: Any, reference: Reference, walked: tuple[str | int, ...]) -> str:
    what = _what(reference, walked)
    if isinstance(value, dict):
        keys = [str(key) for key in cast("dict[str, Any]", value)]
        shown = ", ".join(keys[:10]) + (", …" if len(keys) > 10 else "")
        return f"{what} has keys {shown}" if keys else f"{what} is empty"
    if isinstance(value, list):
        return f"{what} is a list of {len(cast('list[Any]', value))}"
    return _kinds(value, walked)


def _what(reference: Reference, walked: tuple[str | int, ...]) -> str:
    if not walked:
        step = reference.step_id
        return f'the result of "{step}"' if step else f'"{reference.namespace}"'
    return f'"{".".join(str(part) for part in walked)}"'


def _kinds(value: Any, walked: tuple[str | int, ...]) -> str:
    names = {"NoneType": "null", "str": "text", "bool": "true or false", "list": "a list", "dict": "an object"}
    kind = names.get(type(value).__name__, "a number")
    where = f'"{walked[-1]}"' if walked else "it"
    return f"{where} is {kind}"


def _near(value: Any, part: str | int) -> str | None:
    if not isinstance(value, dict):
        return None
    keys = [str(key) for key in cast("dict[str, Any]", value)]
    found = get_close_matches(str(part), keys, 1, 0.5)
    return found[0] if found else None
