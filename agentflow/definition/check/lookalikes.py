"""Braces that look like a reference and are plain text, or like a shell's variable and are a reference."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

_LIKE = re.compile(
    r"(?<!\{)\{(?P<before>\s*)(?P<dollar>\$\.?|)(?P<root>[A-Za-z_][\w-]*)"
    r"(?P<path>(?:\.[^\s{}.\[\]:;,\"'()=]+|\[[^\]{}\s]*\])*)(?P<optional>\??)(?P<after>\s*)\}(?!\})"
)
_FIRST = re.compile(r"\.([^.\[?]+)|\[[\"']?([^\]\"']+)")
_NEAR = 0.8
_FOREIGN = {
    **dict.fromkeys(("secret", "secrets", "environ", "environment"), "env"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "input"),
}
"""What other products call our namespaces."""


class Lookalike(NamedTuple):
    """What isn't what it looks like."""

    offset: int
    text: str
    message: str
    meant: str
    """The reference that is meant."""


def lookalikes(
    text: str,
    names: Collection[str],
    is_step: Callable[[str], bool],
    inputs: Collection[str],
) -> Iterator[Lookalike]:
    """Yield what in a text isn't what it looks like.

    Args:
        text: a text with templates.
        names: what references begin with.
        is_step: tells whether a step of that id can be seen here.
        inputs: the declared inputs.
    """
    for found in _LIKE.finditer(text):
        dollar, root, path = found["dollar"], found["root"], found["path"] + found["optional"]
        whole, spaced = found[0], bool(found["before"] or found["after"])
        if root in names:
            if spaced and found["path"]:
                why = f'"{whole}" stays as text: a reference has no space inside its braces'
                yield Lookalike(found.start(), whole, why, f"{{{dollar}{root}{path}}}")
            elif dollar == "$":
                why = f'"{whole}" stays as text: references don\'t begin with "$", unless "$." begins a JSONPath'
                yield Lookalike(found.start(), whole, why, f"{{{root}{path}}}")
            elif not spaced and _is_variable(text, found.start(), found.end()):
                why = f'"${whole}" keeps its "$": a reference is written without it'
                yield Lookalike(found.start() - 1, f"${whole}", why, whole)
            continue
        meant = None if dollar == "$" else _meant(root, path, names, is_step, inputs, alone=whole == text)
        if meant is not None:
            why = f'"{whole}" stays as text: references don\'t begin with "{dollar}{root}"'
            yield Lookalike(found.start(), whole, why, f"{{{dollar}{meant}}}")


def _is_variable(text: str, start: int, end: int) -> bool:
    """Tell whether a reference after a `$` is meant as a variable, and not as an amount of money."""
    if text[start - 1 : start] != "$":
        return False
    before = text[start - 2 : start - 1] if start > 1 else ""
    return not before.isspace() and bool(before or end == len(text))


def _meant(
    root: str,
    path: str,
    names: Collection[str],
    is_step: Callable[[str], bool],
    inputs: Collection[str],
    *,
    alone: bool,
) -> str | None:
    near = _nearest(root.lower(), names) if path or alone else None
    if near is not None:
        return near + path
    if path and root.lower() in _FOREIGN:
        return _FOREIGN[root.lower()] + path
    if root in inputs:
        return f"input.{root}{path}"
    if is_step(root):
        return f"steps.{root}{path}"
    found = _FIRST.match(path)
    if found is None:
        return None
    first = found[1] or found[2]
    if is_step(first):
        return f"steps{path}"
    return f"input{path}" if first in inputs else None


def _nearest(root: str, names: Collection[str]) -> str | None:
    """Return the name most like a word, if it is near; those whose length alone says that they aren't cost nothing."""
    able = [name for name in names if 2 * min(len(root), len(name)) >= _NEAR * (len(root) + len(name))]
    ratios = {name: SequenceMatcher(None, root, name).ratio() for name in able}
    near = max(ratios, key=ratios.__getitem__, default=None)
    return near if near is not None and ratios[near] >= _NEAR else None
