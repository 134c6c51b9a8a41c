"""Queues for the slots of keys, in dicts."""

from __future__ import annotations

from collections.abc import Iterator

from agentflow.store.queues import Place, StepId, deadlocked
from agentflow.store.slot_rows import SlotRow, SlotView


class Slots:
    """Who holds slots, and who waits for them, by key."""

    def __init__(self) -> None:
        """Start empty."""
        self._places: dict[str, dict[StepId, Place]] = {}
        """In the order in which they asked."""
        self._changed: dict[str, None] = {}

    def ask(self, run: int, row: SlotRow) -> bool:
        """Give a step a free slot of a key, or put it at the end of the queue; tells whether it has one."""
        places = self._places.setdefault(row.key, {})
        last = max((place.place for place in places.values()), default=0)
        free = last == 0 and len(places) < row.limit
        asks = Place(row.key, (run, row.n), row.limit, 0 if free else last + 1, row.within)
        return not places.setdefault((run, row.n), asks).place

    def free(self, run: int, n: int | None = None) -> None:
        """Take the slots and places of a step, or of all steps of a run."""
        for key, places in self._places.items():
            for step in [step for step in places if step[0] == run and n in (None, step[1])]:
                del places[step]
                self._changed[key] = None

    def give(self) -> Iterator[tuple[int, int, str]]:
        """Give free slots to those who are next: (run, step, key)."""
        changed, self._changed = self._changed, {}
        for key in changed:
            places = self._places[key]
            for place in [place for place in places.values() if place.place]:
                if len(self.holders(key)) >= place.limit:
                    break
                places[place.step] = place._replace(place=0)
                yield *place.step, key

    def holders(self, key: str) -> list[StepId]:
        """Return who has slots of a key."""
        return sorted(place.step for place in self._places.get(key, {}).values() if not place.place)

    def stuck(self) -> set[StepId]:
        """Return the steps that would wait for ever."""
        return deadlocked(place for places in self._places.values() for place in places.values())

    def of(self, run: int) -> list[SlotView]:
        """Return what the steps of a run have."""
        found = (place for places in self._places.values() for place in places.values())
        return [SlotView(place.step[1], place.key, not place.place) for place in found if place.step[0] == run]

    def waiting(self) -> Iterator[tuple[Place, int, list[StepId]]]:
        """Give those who wait, with how many are before them and who has the slots."""
        for key, places in self._places.items():
            queue = [place for place in places.values() if place.place]
            for ahead, place in enumerate(queue):
                yield place, ahead, self.holders(key)
