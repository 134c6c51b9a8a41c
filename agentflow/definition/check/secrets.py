"""Secrets stand only where data leaves the process on purpose; what `with` takes from them is a secret too."""

from __future__ import annotations

from collections.abc import Iterable

from agentflow.definition.check.info import EnvInfo
from agentflow.definition.check.report import Report, Spot
from agentflow.definition.check.sites import Site
from agentflow.definition.models import Workflow
from agentflow.definition.scopes import Located
from agentflow.definition.types import StepTypeLike
from agentflow.expressions import Reference

_HINT = "secrets may stand in api_call, tool_call, agent_run and the `env` of a script; or mark {name} as public: true"


class Secrets:
    """Follows secrets through one step after the other."""

    def __init__(self, workflow: Workflow, env: EnvInfo, report: Report) -> None:
        """Make the check."""
        self._env = env.env or {}
        self.matter = not all(self._env.values())
        """Whether there are secrets at all."""
        self._searched = workflow.dialect == "distri"
        self._report = report
        self._tainted: dict[str, str] = {}
        self._passes_on = False

    def enter(self, located: Located, spec: StepTypeLike | None) -> None:
        """Begin with a step: nothing of it is known to be secret."""
        if self._tainted:
            self._tainted = {}
        given = "input" in located.step.config
        self._passes_on = spec is not None and spec.takes_input and not given and "input" not in spec.outbound

    def check(self, ref: Reference, site: Site, here: Located | None, *, shadowed: bool) -> None:
        """Check one reference."""
        names = self._secret_names(ref, shadowed)
        if not names:
            return
        if site.field == "with" and site.secrets:
            if ref.value_path:
                self._tainted[str(ref.value_path[0])] = names[0]
            if not self._passes_on:
                return
        elif site.secrets:
            return
        owner = f'step "{here.step.id}" ({here.step.type})' if here is not None else "the workflow"
        field = f'"{site.field}" of {owner}'
        if site.field == "with":
            field = f'"with" of {owner}, which is its input,'
        by = ref.namespace == "with" or ref.namespace in self._tainted
        self._report.add(
            "AF-SECRET-PLACE",
            f'the secret "{names[0]}" may not stand in {field.rstrip(",")}',
            _spot(ref, site),
            label=f"`with` takes it from {{env.{names[0]}}}" if by else None,
            hint=_HINT.format(name=names[0]),
        )

    def _secret_names(self, ref: Reference, shadowed: bool) -> list[str]:
        name = str(ref.path[0]) if ref.path else None
        if ref.namespace == "env":
            return self._secret(self._env if name is None else [name])
        if ref.namespace == "with":
            tainted = self._tainted
            return list(tainted.values()) if name is None else [tainted[name]] if name in tainted else []
        if ref.namespace in self._tainted:
            return [self._tainted[ref.namespace]]
        if ref.namespace == "context" and self._searched and name is not None:
            if name in self._tainted:
                return [self._tainted[name]]
            return [] if shadowed else self._secret([name])
        return []

    def _secret(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if not self._env.get(name, True)]


def _spot(ref: Reference, site: Site) -> Spot:
    return site.spot.below(*ref.value_path).at(ref.offset, ref.length)
