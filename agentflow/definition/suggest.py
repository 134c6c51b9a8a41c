"""Finds what a mistyped name was meant to be."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator

_MANY = 1000
"""Of more names, only those are compared that begin or end most like the word."""
_AROUND = 100


def nearest(word: str, choices: Iterable[str], count: int = 3) -> list[str]:
    """Return the names most like a word, the nearest first; none if all are far."""
    from difflib import SequenceMatcher  # noqa: PLC0415  only where something is wrong

    names = choices if isinstance(choices, Collection) else list(choices)
    scored: list[tuple[float, str]] = []
    matcher = SequenceMatcher(b=word.lower(), autojunk=False)
    for choice in names if len(names) <= _MANY else _likely(word.lower(), names):
        matcher.set_seq1(choice.lower())
        if matcher.real_quick_ratio() >= 0.6 and matcher.quick_ratio() >= 0.6 and (ratio := matcher.ratio()) >= 0.6:
            scored.append((-ratio, choice))
    scored.sort(key=lambda pair: pair[0])
    return [choice for _, choice in scored[:count]]


def _likely(word: str, names: Collection[str]) -> Iterator[str]:
    """Return the names that stand beside a word in order of their beginnings, and of their ends."""
    found: dict[str, None] = {}
    for step in (1, -1):
        ordered = sorted((name.lower()[::step], name) for name in names)
        here = bisect_left(ordered, (word[::step],))
        found |= {name: None for _, name in ordered[max(here - _AROUND, 0) : here + _AROUND]}
    return iter(found)


def meant(word: str, choices: Iterable[str]) -> str | None:
    """Return `did you mean "x"?`, or None if nothing is near."""
    found = nearest(word, choices, 1)
    return f'did you mean "{found[0]}"?' if found else None
