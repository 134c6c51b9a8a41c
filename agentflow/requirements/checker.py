"""Compares what a step needs with what there is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from agentflow.definition.models import Requirement
from agentflow.definition.requires import NATIVE, skill_fault
from agentflow.errors import StepError
from agentflow.principal import LOCAL, Principal


class ConnectionProvider(Protocol):
    """Knows the connections to one provider's services, such as `google`."""

    def granted(self, service: str, principal: Principal) -> Collection[str] | None:
        """Return the scopes that a principal granted for a service; None if it isn't connected."""
        ...


class Checker:
    """Tells what is missing for a step.

    A native skill is there when the config grants it. A connection is there when its provider says so, with all the
    scopes that are asked for; a connection without a provider is missing.
    """

    def __init__(
        self,
        skills: Mapping[str, Any] | Iterable[str] = (),
        *,
        python: bool = False,
        connections: Mapping[str, ConnectionProvider] | None = None,
    ) -> None:
        """Make a checker.

        Args:
            skills: the native skills that the config grants, with or without `native:`; a mapping's values are limits.
            python: whether `native:python` is granted too: by a listed module, or by functions given in Python.
            connections: by provider.
        """
        self._skills = native_skills(skills, python=python)
        self._connections = dict(connections or {})

    def grant(self, skill: str) -> None:
        """Grant a native skill from now on.

        Args:
            skill: its name without `native:`.
        """
        self._skills |= {skill}

    def available_skills(self) -> tuple[str, ...]:
        """Return the native skills that are granted, in order."""
        return tuple(f"native:{name}" for name in NATIVE if name in self._skills)

    def missing(
        self,
        requirements: Iterable[Requirement] = (),
        type_skills: Iterable[str] = (),
        principal: Principal = LOCAL,
    ) -> list[str]:
        """Return what a step lacks, each thing once.

        Args:
            requirements: the step's own.
            type_skills: what every step of its type needs.
            principal: whose connections count.

        Returns:
            Skills as `native:shell` and `google:drive`; a connection that lacks scopes names them.
        """
        found = [skill for skill in type_skills if not self._has_native(skill)]
        for requirement in requirements:
            if requirement.is_native:
                if not self._has_native(requirement.skill):
                    found.append(requirement.skill)
            else:
                lack = self._lack(requirement, principal)
                if lack is not None:
                    found.append(lack)
        return list(dict.fromkeys(found))

    def _has_native(self, skill: str) -> bool:
        return skill.removeprefix("native:") in self._skills

    def _lack(self, requirement: Requirement, principal: Principal) -> str | None:
        provider = self._connections.get(requirement.namespace)
        scopes = provider.granted(requirement.name, principal) if provider is not None else None
        if scopes is None:
            return requirement.skill
        lacking = [scope for scope in requirement.permissions if scope not in scopes]
        return f"{requirement.skill} ({', '.join(lacking)})" if lacking else None


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
