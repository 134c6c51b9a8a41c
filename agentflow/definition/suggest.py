"""Finds what a mistyped name was meant to be."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, choices: Iterable[str], count: int = 3) -> list[str]:
    """Return the names most like a word, the nearest first; none if all are far."""
    from difflib import SequenceMatcher  # noqa: PLC0415  only where something is wrong

    scored: list[tuple[float, str]] = []
    matcher = SequenceMatcher(b=word.lower(), autojunk=False)
    for number, choice in enumerate(choices):
        if number >= 5000 and abs(len(choice) - len(word)) > 1:
            continue
        matcher.set_seq1(choice.lower())
        if matcher.real_quick_ratio() >= 0.6 and matcher.quick_ratio() >= 0.6 and (ratio := matcher.ratio()) >= 0.6:
            scored.append((-ratio, choice))
    scored.sort(key=lambda pair: pair[0])
    return [choice for _, choice in scored[:count]]


def meant(word: str, choices: Iterable[str]) -> str | None:
    """Return `did you mean "x"?`, or None if nothing is near."""
    found = nearest(word, choices, 1)
    return f'did you mean "{found[0]}"?' if found else None
