"""Who waits for whom: steps that would wait for slots of keys for ever. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

StepId: TypeAlias = tuple[int, int]
"""Run and number of a step."""


class Place(NamedTuple):
    """A step's place at a key: it holds a slot, or waits for one."""

    key: str
    step: StepId
    limit: int
    place: int
    """Position in the queue; 0: it holds a slot."""
    within: Sequence[StepId] = ()
    """Steps around it that hold slots and can't end before it does."""


def deadlocked(places: Iterable[Place]) -> set[StepId]:
    """Return the steps that wait for ever: whatever they wait for can't end before they do.

    A step around one that waits for ever can't end, and keeps its slot. A queue stands still behind its first step that
    waits for ever, as slots are given in order. So all that wait are taken for stuck, and freed as far as slots reach.
    """
    held: dict[str, list[StepId]] = {}
    queues: dict[str, list[Place]] = {}
    for place in sorted(places, key=lambda each: each.place):
        if place.place:
            queues.setdefault(place.key, []).append(place)
        else:
            held.setdefault(place.key, []).append(place.step)
    stuck = {place.step: place for queue in queues.values() for place in queue}
    while True:
        kept = {step for place in stuck.values() for step in place.within}
        freed: list[StepId] = []
        for key, queue in queues.items():
            taken = sum(step in kept for step in held.get(key, ()))
            for place in queue:
                if place.step in stuck:
                    if taken >= place.limit:
                        break
                    freed.append(place.step)
        if not freed:
            return set(stuck)
        for step in freed:
            del stuck[step]
