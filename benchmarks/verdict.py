"""A ratio, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

AT_LEAST = "≥"
AT_MOST = "≤"


class Ratio(NamedTuple):
    """A figure with its limit."""

    name: str
    value: float
    sign: str
    limit: float
    spread: tuple[float, float] | None = None
    """The lowest and the highest of the repetitions."""
    unit: str = "×"

    @property
    def holds(self) -> bool:
        """Whether it is within its limit."""
        return self.value >= self.limit if self.sign == AT_LEAST else self.value <= self.limit

    @property
    def verdict(self) -> str:
        """One word."""
        return "pass" if self.holds else "SHORT"

    @property
    def line(self) -> str:
        """As printed."""
        spread = f" ({self.spread[0]:.2f} to {self.spread[1]:.2f})" if self.spread else ""
        wanted = f"wanted {self.sign} {self.limit:.3g}{self.unit}"
        return f"{self.verdict:5} {self.name}: {self.value:.2f}{self.unit}{spread}, {wanted}"


def conclude(ratios: Iterable[Ratio]) -> None:
    """Print ratios; exits with 1 when one doesn't hold."""
    found = list(ratios)
    for ratio in found:
        print(ratio.line)
    if not all(ratio.holds for ratio in found):
        raise SystemExit(1)
