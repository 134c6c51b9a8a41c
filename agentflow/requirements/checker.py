"""Compares what a step needs with what there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from agentflow.definition.models import Requirement
from agentflow.definition.requires import BY_NAME, NATIVE, granted, skill_fault
from agentflow.errors import StepError


class Checker:
    """Tells which skills a step lacks: those that the config doesn't grant."""

    def __init__(
        self,
        skills: Mapping[str, Any] | Iterable[str] = (),
        *,
        python: bool = False,
    ) -> None:
        """Make a checker.

        Args:
            skills: the native skills that the config grants, with or without `native:`; a mapping's values are limits.
            python: whether `native:python` is granted too: by a listed module, or by functions given in Python.
        """
        self._skills = native_skills(skills, python=python)
        named: dict[str, Any] = {}
        if isinstance(skills, Mapping):
            named.update(cast("Mapping[str, Any]", skills))
        self._by_name = {name.removeprefix("native:") for name in granted(named) & BY_NAME}

    def grant(self, skill: str) -> None:
        """Grant a native skill from now on.

        Args:
            skill: its name without `native:`.
        """
        self._skills |= {skill}

    def available_skills(self) -> tuple[str, ...]:
        """Return the native skills that are granted, in order."""
        return tuple(f"native:{name}" for name in NATIVE if name in self._skills)

    def missing(self, type_skills: Iterable[str] = ()) -> list[str]:
        """Return those of some skills that aren't granted, each once, as `native:shell`."""
        return list(dict.fromkeys(skill for skill in type_skills if not self._has_native(skill)))

    def _has_native(self, skill: str) -> bool:
        name = skill.removeprefix("native:")
        return name in self._by_name if skill in BY_NAME else name in self._skills


def native_skills(skills: Mapping[str, Any] | Iterable[str], *, python: bool = False) -> frozenset[str]:
    """Return the names of granted native skills, without `native:`; a mapping's `false` grants nothing."""
    named = [name for name in skills if not (isinstance(skills, Mapping) and skills[name] is False)]
    return frozenset({name.removeprefix("native:") for name in named} | ({"python"} if python else set()))


def is_valid(requirement: Requirement | str) -> bool:
    """Tell whether a requirement names something that can exist: `native:<known skill>` or `provider:service`."""
    return skill_fault(requirement if isinstance(requirement, str) else requirement.skill) is None


def message(missing: Sequence[str]) -> str:
    """Return the sentence that names what is missing."""
    return f"Missing skills: {', '.join(missing)}"


def missing_error(missing: Sequence[str]) -> StepError:
    """Return the failure of a step that lacks something."""
    natives = [skill for skill in missing if skill.startswith("native:")]
    hint = None
    if natives == ["native:python"]:
        hint = "list the module in the config: python: {modules: [...]}"
    elif natives:
        hint = f"if you trust this config, add to it: skills: [{', '.join(natives)}]"
    elif missing:
        hint = "connect it first, with the permissions that are named"
    return StepError(message(missing), code="AF-SKILL-MISSING", kind="skill", retryable=False, hint=hint)
