"""The limits with which a config grants native skills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, StrictBool, StringConstraints, ValidationError

from agentflow.definition.host_rules import HostRule, Hosts, host_rules
from agentflow.definition.models import Model
from agentflow.definition.suggest import meant


def _several(value: Any) -> Any:
    """Let one stand without a list."""
    return (value,) if isinstance(value, str) else value


def _methods(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not value.isalpha():
            raise ValueError(f'"{value}" is no HTTP method; write it like GET')
    return tuple(value.upper() for value in values)


def _schemes(values: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [value for value in values if value not in ("http", "https")]
    if wrong:
        raise ValueError(f'"{wrong[0]}" is no scheme that requests are sent by; there are http and https')
    return values


Names = Annotated[tuple[Annotated[str, StringConstraints(min_length=1)], ...], BeforeValidator(_several)]


class ShellLimits(Model):
    """Of `native:shell`: what scripts may start, where, and with which variables."""

    programs: Names | None = None
    """Programs by name, as found on this process's PATH, or by path; `run:` needs its shell here."""
    folders: Names | None = None
    """Folders that they may run in, from the config's folder; each with all that is below."""
    env: Names | None = None
    """Names of variables that a step may set; `*` stands for any characters."""


class NetworkLimits(Model):
    """Of `native:network`: where requests of api_call may go."""

    allow: Annotated[Hosts, BeforeValidator(_several)] | None = None
    """Hosts: `api.example.com`, `*.example.com`, `10.0.0.0/8`, `[::1]`; also `https://host`, `host:port`."""
    private: StrictBool = False
    """True: loopback and private addresses too."""
    methods: Annotated[Names, AfterValidator(_methods)] | None = None
    """HTTP methods."""
    schemes: Annotated[Names, AfterValidator(_schemes)] | None = None
    """`http`, `https`."""

    @property
    def hosts(self) -> tuple[HostRule, ...] | None:
        """The rules of `allow`; None: all hosts."""
        return None if self.allow is None else host_rules(self.allow)


class PythonLimits(Model):
    """Of `native:python`: what python steps may call."""

    modules: Names | None = None
    """Those of `python.modules` that steps may name, each with its submodules; tools and agents aren't asked."""


class FilesystemLimits(Model):
    """Of `native:filesystem`: where files are read and written for a step."""

    roots: Names | None = None
    """Folders, from the config's folder; each with all that is below."""


class ToolLimits(Model):
    """Of `native:tool`: what tool_call may call."""

    allow: Names | None = None
    """Tools by name, or as `server/tool`; `*` stands for any characters."""


class AgentLimits(Model):
    """Of `native:agent`: whom agent_run may ask."""

    allow: Names | None = None
    """Agents by name; `*` stands for any characters."""


class NoLimits(Model):
    """Of a skill that has none."""


LIMITS: Final[Mapping[str, type[Model]]] = {
    "native:shell": ShellLimits,
    "native:network": NetworkLimits,
    "native:python": PythonLimits,
    "native:filesystem": FilesystemLimits,
    "native:tool": ToolLimits,
    "native:agent": AgentLimits,
    "native:browser": NoLimits,
}


def limits_of(skill: str, given: Mapping[str, Any]) -> Model:
    """Return the limits of a native skill.

    Raises:
        ValueError: there is something else in them.
    """
    model = LIMITS[skill]
    unknown = sorted(given.keys() - model.model_fields.keys())
    if unknown:
        names = list(model.model_fields)
        near = meant(unknown[0], names)
        listed = f"it has {', '.join(names)}" if names else "it has none"
        raise ValueError(f'{skill} has no limit "{unknown[0]}"; {near or listed}')
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{skill}: {place}: {first['msg'].removeprefix('Value error, ')}") from None
