"""Collects problems with their places, and finds what a mistyped name was meant to be."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from agentflow.definition.check.info import PlainPointers, Pointers
from agentflow.definition.tally import Tally
from agentflow.definition.types import PlaceOf
from agentflow.errors import Place, Problem, Severity

__all__ = ["Report", "Spot", "known"]


class Spot(NamedTuple):
    """A value of a workflow: whose field it is, and which part of its text is meant."""

    address: str
    field: str | None = None
    path: tuple[str | int, ...] = ()
    offset: int = 0
    length: int | None = None
    key: bool = False
    """The field's name is meant, not its value."""
    pointer: str | None = None
    """JSON pointer, where the address doesn't tell it."""

    def at(self, offset: int, length: int | None) -> Spot:
        """Return the same value with another part of its text."""
        return Spot(self.address, self.field, self.path, offset, length)

    def below(self, *path: str | int) -> Spot:
        """Return a value inside this one."""
        return Spot(self.address, self.field, (*self.path, *path))


class Report:
    """The problems found so far."""

    def __init__(self, pointers: Pointers | None, place: PlaceOf | None, tally: Tally | None = None) -> None:
        """Make an empty report.

        Args:
            pointers: where the workflow's parts stand in its document.
            place: finds a pointer's line and column.
            tally: counts the problems of the whole config.
        """
        self.pointers = pointers or PlainPointers()
        self.problems: list[Problem] = []
        self._place = place
        self._tally = tally or Tally()
        self.full = self._tally.full
        self.nearest = self._tally.nearest
        self.meant = self._tally.meant
        self.guessed = self._tally.guessed

    def add(
        self,
        code: str,
        message: str,
        spot: Spot,
        *,
        label: str | None = None,
        hint: str | None = None,
        severity: Severity = "error",
    ) -> None:
        """Add a problem; of very many, later ones are only counted."""
        if self._tally.take(severity):
            self.problems.append(Problem(code, message, self.pointer(spot), self.find(spot), label, hint, severity))

    def only_counted(self, severity: Severity = "error") -> bool:
        """Count a problem that isn't told, before anything is made for it; False where it has to be added."""
        return self.full(severity) and not self._tally.take(severity)

    def find(self, spot: Spot) -> Place | None:
        """Return a spot's place, if places are known."""
        if self._place is None:
            return None
        return self._place(self.pointer(spot), key=spot.key, offset=spot.offset, length=spot.length)

    def pointer(self, spot: Spot) -> str:
        """Return a spot's JSON pointer."""
        if spot.pointer is not None:
            return spot.pointer
        return self.pointers.pointer(spot.address, spot.field, *spot.path)

    def where(self, spot: Spot) -> str:
        """Return ` at 45:18` for use inside a text, or nothing where places aren't known."""
        place = self.find(spot)
        return f" at {place.line}:{place.column}" if place else ""


def known(choices: Collection[str], what: str, most: int = 5) -> str | None:
    """Return a hint that lists what there is, or None if there is too much or nothing of it."""
    if not choices or len(choices) > most:
        return None
    return f"{what}: {', '.join(choices)}"
