"""Counts the problems of a config while they are found: of very many, only the first are told."""

from __future__ import annotations

from collections.abc import Iterable

from agentflow.definition.suggest import nearest
from agentflow.errors import Severity

TOLD = 50
"""So many errors are told, and so many warnings: nobody reads more of them at once."""

GUESSED = 100
"""So many names that may well be right are compared with those that there are."""


class Tally:
    """How many errors and warnings there are. Places and near names are looked for only for those that are told."""

    def __init__(self) -> None:
        """Begin with none."""
        self.found: dict[Severity, int] = {"error": 0, "warning": 0}
        self._guesses: dict[tuple[str, str], str | None] = {}

    def take(self, severity: Severity) -> bool:
        """Count a problem, and return whether it is told."""
        told = not self.full(severity)
        self.found[severity] += 1
        return told

    def full(self, severity: Severity = "error") -> bool:
        """Tell whether a further problem would only be counted. Errors are never crowded out by warnings."""
        return self.found[severity] >= TOLD

    def untold(self, severity: Severity) -> int:
        """Return how many problems were only counted."""
        return max(self.found[severity] - TOLD, 0)

    def nearest(self, word: str, choices: Iterable[str], severity: Severity = "error") -> str | None:
        """Return the name most like a word, if it isn't far and the problem is told."""
        return None if self.full(severity) else next(iter(nearest(word, choices, 1)), None)

    def meant(self, word: str, choices: Iterable[str], severity: Severity = "error") -> str | None:
        """Return `did you mean "x"?`, or None if nothing is near or the problem isn't told."""
        found = self.nearest(word, choices, severity)
        return None if found is None else f'did you mean "{found}"?'

    def guessed(self, what: str, word: str, choices: Iterable[str]) -> str | None:
        """Return what `meant` does of a name that may well be right: of very many only the first are looked at.

        Args:
            what: which kind of name it is.
            word: the name.
            choices: the names of that kind that are known.
        """
        key = (what, word)
        if key not in self._guesses:
            if len(self._guesses) >= GUESSED:
                return None
            self._guesses[key] = self.meant(word, choices, "warning")
        return self._guesses[key]
