"""Braces that look like a reference and are plain text, or like a shell's variable and are a reference."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from agentflow.data import is_object

_ROOT = r"(?P<root>[A-Za-z_][\w-]*)"
_PATH = r"(?P<path>(?:\.[^\s{}.\[\]:;,\"'()=|]+|\[[^\]{}\s]*\])*)(?P<optional>\??)"
_LIKE = re.compile(rf"(?<!\{{)\{{(?P<before>\s*)(?P<dollar>\$\.?|){_ROOT}{_PATH}(?P<after>\s*)\}}(?!\}})")
_DOUBLE = re.compile(rf"(?<!\{{)\{{\{{\s*\$?{_ROOT}{_PATH}\s*(?:\|[^{{}}]*)?\}}\}}(?!\}})")
"""Templates of Jinja, Mustache and n8n."""
_FIRST = re.compile(r"\.([^.\[?]+)|\[[\"']?([^\]\"']+)")
_RESULT = re.compile(r"\.(?:outputs?|result)(?=[.\[?]|$)")
"""What other products write between a step and a part of its result."""
_AMOUNT = re.compile(r"amount|price|cost|total|sum|fee|tax|budget|balance|usd|paid|spent|salary|revenue", re.IGNORECASE)
_NEAR = 0.8
_FOREIGN = {
    **dict.fromkeys(("secret", "secrets", "environ", "environment"), "env"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "input"),
}
"""What other products call our namespaces."""
_SHARED = frozenset({"ctx", "vars", "variables", "state", "globals", "memory", "flow"})
"""What they call `context`: words that texts have often, so only for keys that are declared."""
_NODES = frozenset({"json", "node", "nodes", "tasks", "jobs"})


class Lookalike(NamedTuple):
    """What isn't what it looks like."""

    offset: int
    text: str
    message: str
    meant: str
    """The reference that is meant."""


class Around(NamedTuple):
    """What references may name where a text stands."""

    names: Collection[str]
    """What they begin with."""
    is_step: Callable[[str], bool]
    """Tells whether a step of an id can be seen here."""
    inputs: Mapping[str, Any]
    """The declared inputs with their schemas."""
    shared: Collection[str]
    """The declared keys of the context."""
    bound: Collection[str] = ()
    """The names of what the loops around it give."""
    shell: bool = False
    """A shell may read the text, whose own variables and blocks have braces too."""


def lookalikes(text: str, around: Around) -> Iterator[Lookalike]:
    """Yield what in a text isn't what it looks like."""
    for found in _LIKE.finditer(text):
        dollar, root, path = found["dollar"], found["root"], found["path"] + found["optional"]
        whole, spaced = found[0], bool(found["before"] or found["after"])
        if root in around.names:
            if spaced and found["path"]:
                why = f'"{whole}" stays as text: a reference has no space inside its braces'
                yield Lookalike(found.start(), whole, why, f"{{{dollar}{root}{path}}}")
            elif dollar == "$":
                why = f'"{whole}" stays as text: references don\'t begin with "$", unless "$." begins a JSONPath'
                yield Lookalike(found.start(), whole, why, f"{{{root}{path}}}")
            elif not spaced and _is_variable(text, found, around):
                why = f'"${whole}" keeps its "$": a reference is written without it'
                yield Lookalike(found.start() - 1, f"${whole}", why, whole)
            continue
        if around.shell and not found["path"] and text[: found.start()].endswith("$"):
            continue  # a variable of the shell
        meant = None if dollar == "$" else _meant(root, path, around, alone=whole == text)
        if meant is not None:
            why = f'"{whole}" stays as text: references don\'t begin with "{dollar}{root}"'
            yield Lookalike(found.start(), whole, why, f"{{{dollar}{meant}}}")


def doubled(text: str, around: Around) -> Iterator[Lookalike]:
    """Yield what other products would take for a template, two braces around it; those with names of ours apart."""
    for found in _DOUBLE.finditer(text):
        root, path = found["root"], found["path"] + found["optional"]
        if root in around.names or not found["path"]:
            continue
        first = _first(path)
        known = first in around.inputs or around.is_step(first)
        sure = root.lower() in _FOREIGN or _nearest(root.lower(), around.names) or around.is_step(root)
        sure = sure or (root.lower() in _SHARED and first in around.shared) or (root.lower() in _NODES and known)
        meant = _meant(root, path, around, alone=False) if sure else None
        if meant is not None:
            why = f'"{found[0]}" stays as text: templates use single braces'
            yield Lookalike(found.start(), found[0], why, f"{{{meant}}}")


def in_shell(text: str, names: Collection[str]) -> Iterator[Lookalike]:
    """Yield what a shell text has that was most probably meant as a reference: it means nothing to a shell."""
    for found in _LIKE.finditer(text):
        root, path = found["root"], found["path"]
        if not path or found["dollar"]:
            continue
        spaced = bool(found["before"] or found["after"])
        near = root if root in names and spaced else _nearest(root.lower(), names) if root not in names else None
        if near is not None:
            why = f'"{found[0]}" stays as text: it is no reference, and a shell text takes none'
            yield Lookalike(found.start(), found[0], why, f"{{{near}{path}}}")


def _is_variable(text: str, found: re.Match[str], around: Around) -> bool:
    """Tell whether a reference after a `$` is meant as a variable, and not as an amount of money."""
    start = found.start()
    if text[start - 1 : start] != "$":
        return False
    before = text[start - 2 : start - 1] if start > 1 else ""
    if before and not before.isspace():
        return True
    if not before and found.end() == len(text):
        return True
    path = found["path"]
    schema = around.inputs.get(_first(path))
    number = is_object(schema) and schema.get("type") in ("number", "integer")
    return bool(path) and not number and not _AMOUNT.search(path)


def _first(path: str) -> str:
    found = _FIRST.match(path)
    return (found[1] or found[2]) if found is not None else ""


def _meant(root: str, path: str, around: Around, *, alone: bool) -> str | None:
    near = _nearest(root.lower(), around.names) if path or alone else None
    if near is not None:
        return near + path
    if path and root.lower() in _FOREIGN:
        return _FOREIGN[root.lower()] + path
    if root in around.inputs and (alone or path or not around.shell):
        return f"input.{root}{path}"
    if around.is_step(root):
        return f"steps.{root}{_RESULT.sub('', path, count=1)}"
    first = _first(path)
    if not first:
        return None
    if around.is_step(first):
        head = path.index(first) + len(first)
        return f"steps{path[:head]}{_RESULT.sub('', path[head:], count=1)}"
    if root.lower() in _SHARED and first in around.shared:
        return f"context{path}"
    return f"input{path}" if first in around.inputs and not around.shell else None


def _nearest(root: str, names: Collection[str]) -> str | None:
    """Return the name most like a word, if it is near; those whose length alone says that they aren't cost nothing."""
    able = [name for name in names if 2 * min(len(root), len(name)) >= _NEAR * (len(root) + len(name))]
    ratios = {name: SequenceMatcher(None, root, name).ratio() for name in able}
    near = max(ratios, key=ratios.__getitem__, default=None)
    return near if near is not None and ratios[near] >= _NEAR else None
