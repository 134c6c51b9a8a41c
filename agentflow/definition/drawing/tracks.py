"""Which of several lines that run across in one gap runs above which, so that none hides another."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Span:
    """Where a net comes into a gap from above, and where it leaves it below."""

    uppers: tuple[int, ...]
    lowers: tuple[int, ...]

    @property
    def ends(self) -> tuple[int, int]:
        """Where it begins and ends across."""
        return min(*self.uppers, *self.lowers), max(*self.uppers, *self.lowers)

    @property
    def straight(self) -> bool:
        """Whether it runs down only."""
        return len({*self.uppers, *self.lowers}) == 1


def assign(spans: Mapping[K, Span]) -> tuple[dict[K, int], int]:
    """Return the number of each net's track, counted from above, and how many tracks there are.

    Nets on one track don't touch. One that comes from above where another one leaves below runs above that, as far as
    this can be had for all of them.
    """
    across = {key: span for key, span in spans.items() if not span.straight}
    after = _orders(across)
    numbers: dict[K, int] = {}
    taken: list[list[tuple[int, int]]] = []
    waiting: list[K] = sorted(across, key=lambda key: across[key].ends)
    while waiting:
        left_over: set[K] = set(waiting)
        ready = [key for key in waiting if after[key].isdisjoint(left_over)] or waiting[:1]
        for key in ready:
            left, right = across[key].ends
            track = max((numbers[one] + 1 for one in after[key] if one in numbers), default=0)
            while track < len(taken) and any(left <= end and start <= right for start, end in taken[track]):
                track += 1
            taken += [[] for _ in range(track + 1 - len(taken))]
            taken[track].append((left, right))
            numbers[key] = track
        waiting = [key for key in waiting if key not in numbers]
    return numbers, len(taken)


def _orders(spans: Mapping[K, Span]) -> dict[K, set[K]]:
    """Return for each net those that should run above it."""
    from_above: dict[int, list[K]] = {}
    for key, span in spans.items():
        for x in set(span.uppers):
            from_above.setdefault(x, []).append(key)
    return {
        key: {one for x in span.lowers for one in from_above.get(x, ()) if one != key} for key, span in spans.items()
    }
