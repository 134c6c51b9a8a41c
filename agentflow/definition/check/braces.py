"""Warnings of braces that aren't templates though their author most probably thought so."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentflow.definition.check.lookalikes import Around, Lookalike, doubled, lookalikes
from agentflow.definition.check.report import Report, Spot
from agentflow.expressions import Escape, Reference

_SPACED = re.compile(r"\{\{\s+([A-Za-z_][\w-]*)[^{}]*\}\}")
"""Other products' templates: two braces with room inside."""
_INSIDE = re.compile(r"\{\{\s*([^{}|\s]*)")
Texts = Sequence[tuple[tuple[str | int, ...], str]]
"""Paths of texts below a spot, and the texts."""


def all_read(texts: Texts, references: Sequence[Reference]) -> bool:
    """Tell quickly whether every brace of the texts opens a reference, as nearly always: there is no doubt then."""
    return sum(text.count("{") for _, text in texts) == len(references) and not any("$" in text for _, text in texts)


def check_braces(spot: Spot, texts: Texts, escapes: Sequence[Escape], around: Around, report: Report) -> None:
    """Warn of two braces around what would be a reference in one, and of what only looks like a reference."""
    found = [(one.value_path, one.offset, one.text) for one in escapes]
    for path, text in texts:
        spaced = _SPACED.finditer(text) if "{{" in text else ()
        found += [(path, one.start(), one[0]) for one in spaced if one[1] in around.names]
    whole = dict(texts)
    for path, offset, text in found:
        inside = _INSIDE.match(whole.get(path, text), offset if path in whole else 0)
        report.add(
            "AF-TEMPLATE-BRACES",
            f'"{text}" stays as text: two braces stand for a literal one',
            spot.below(*path).at(offset, len(text)),
            label=_single(inside[1] if inside is not None else "", around),
            severity="warning",
        )
    for path, text in texts:
        if "{" not in text:
            continue
        for one in doubled(text, around) if "{{" in text else ():
            _warn("AF-TEMPLATE-BRACES", one, spot.below(*path), report)
        for one in lookalikes(text, around):
            _warn("AF-TEMPLATE-ROOT", one, spot.below(*path), report)


def _single(inside: str, around: Around) -> str:
    """Say how to write a reference in two braces, unless it would name an item where nothing is looped over."""
    root = inside.partition(".")[0].partition("[")[0]
    if root in ("item", "index") and root not in around.bound:
        return "nothing is looped over here: give the step a for_each, and write single braces"
    return f"templates use single braces: {{{inside}}}"


def _warn(code: str, one: Lookalike, spot: Spot, report: Report) -> None:
    where = spot.at(one.offset, len(one.text))
    report.add(code, one.message, where, label=f"did you mean {one.meant}?", severity="warning")
