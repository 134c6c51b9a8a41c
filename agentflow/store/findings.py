"""What care of a store finds and does, told in the same way of every kind of store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentflow.errors import StoreError

_TOLD = 10
"""Findings that an error names."""
Progress = Callable[[int, int], None]
"""Told (pages done, pages in all), now and then."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a store."""

    message: str
    """What is wrong, one sentence."""
    hint: str
    """What to do."""
    run: str | None = None
    """Id of the run it is in."""
    step: str | None = None
    """Address of the step it is in."""
    page: int | None = None
    """Number of the damaged page of the file."""

    def to_data(self) -> dict[str, Any]:
        """Return its JSON form."""
        names = ("message", "hint", "run", "step", "page")
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class Report:
    """What a look at a store found."""

    path: str
    schema: int = 0
    """Version of its tables."""
    bytes: int = 0
    """Size of the file, the log included."""
    free: int = 0
    """Bytes of it that nothing is stored in."""
    runs: int = 0
    steps: int = 0
    results: int = 0
    """Stored results that were compared with their hashes."""
    findings: list[Finding] = field(default_factory=list[Finding])


@dataclass(frozen=True, slots=True)
class Glance:
    """What a quick look at a store tells."""

    path: str
    schema: int
    """Version of its tables."""
    bytes: int
    """Size of the file, the log included."""
    runs: int
    newest: float | None
    """When a run has changed last; None: there is none."""
    fault: str | None = None
    """What is wrong with its log."""
    latest: int = 0
    """Version of the tables that this agentflow makes of it."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What restoring did."""

    runs: int
    kept: str | None
    """File that now has the database that was there before."""


def first_problem(
    path: Path, findings: Sequence[Finding], *, copy: Path | None = None, restoring: bool = False
) -> StoreError:
    """Return the error of a store that was found damaged.

    Args:
        path: the store.
        findings: what was found.
        copy: where everything was copied to nevertheless.
        restoring: it is a backup that should be put back.
    """
    lines = [_line(finding) for finding in findings[1:_TOLD]]
    if len(findings) > _TOLD:
        lines.append(f"and {len(findings) - _TOLD} more")
    if copy is not None:
        lines.append(f"Everything was copied as it is, the damage too: {copy}")
    hint = f"agentflow store check --store {path} tells everything"
    if restoring:
        hint += "\nput it back as it is, the damage too: the same command with --damaged"
    data: dict[str, Any] = {"findings": [finding.to_data() for finding in findings]}
    return StoreError(
        f"{path} is damaged: {_line(findings[0])}",
        code="AF-STORE-DAMAGED",
        why="\n".join(lines) or None,
        hint=hint,
        data=data if copy is None else {**data, "copy": str(copy)},
    )


def _line(finding: Finding) -> str:
    place = f"run {finding.run}" + (f", step {finding.step}" if finding.step else "") + ": " if finding.run else ""
    return place + finding.message
