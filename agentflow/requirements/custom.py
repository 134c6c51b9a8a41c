"""Skills that other packages know: a provider, found by its entry point, says whether one is available, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, cast

from agentflow.credentials import NotConnected

GROUP = "agentflow.skills"
"""Group of entry points: each has the name of a skill (`acme:gpu`), or of all with that first part (`acme`)."""


class SkillProvider(Protocol):
    """Tells whether skills are available where it is asked: in the process that executes the step."""

    async def lacking(self, skill: str) -> str | None:
        """Return why a skill isn't available, for people; None: it is.

        Args:
            skill: as `requires` names it, such as `acme:gpu`.
        """
        ...


@lru_cache(maxsize=1)
def _brought() -> Mapping[str, EntryPoint]:
    """Return what installed packages bring, by name: finding that reads the data of every package."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


@lru_cache(maxsize=64)
def _loaded(entry: EntryPoint) -> SkillProvider:
    found: Any = entry.load()
    return cast("SkillProvider", found() if isinstance(found, type) else found)


async def lack_of(skill: str) -> NotConnected | None:
    """Return why a skill isn't available here; None: it is, or no package knows it."""
    entry = _entry(skill)
    if entry is None:
        return None
    try:
        why = await _loaded(entry).lacking(skill)
    except Exception as error:  # a package's code may raise anything; a skill that nobody can vouch for isn't there
        why = f"its provider {entry.value} failed: {type(error).__name__}: {error}"
    return None if why is None else NotConnected(skill, "unavailable", why=why, on_missing="fail")


def is_custom(skill: str) -> bool:
    """Tell whether an installed package knows a skill."""
    return _entry(skill) is not None


def _entry(skill: str) -> EntryPoint | None:
    brought = _brought()
    return brought.get(skill) or brought.get(skill.partition(":")[0])
