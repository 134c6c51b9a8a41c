"""The limits of granted skills, asked where steps do something."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

from agentflow.errors import StepError

if TYPE_CHECKING:
    from agentflow.definition.models import Model
    from agentflow.definition.skill_limits import (
        AgentLimits,
        FilesystemLimits,
        NetworkLimits,
        PythonLimits,
        ShellLimits,
        ToolLimits,
    )

T = TypeVar("T")


class SkillLimits:
    """The limits of one config."""

    def __init__(self, skills: Mapping[str, Mapping[str, Any]]) -> None:
        """Read them.

        Args:
            skills: granted native skills, with their limits.

        Raises:
            ValueError: there is something else in them.
        """
        given = {name: limits for name, limits in skills.items() if limits and name.startswith("native:")}
        self._read: dict[str, Model] = {}
        if given:
            from agentflow.definition.skill_limits import limits_of  # noqa: PLC0415  most configs have none

            self._read = {name: limits_of(name, limits) for name, limits in given.items()}
        self.shell: ShellLimits | None = self._of("shell")
        self.network: NetworkLimits | None = self._of("network")
        self.filesystem: FilesystemLimits | None = self._of("filesystem")
        self._python: PythonLimits | None = self._of("python")
        self._tool: ToolLimits | None = self._of("tool")
        self._agent: AgentLimits | None = self._of("agent")

    def _of(self, skill: str) -> Any:
        return self._read.get(f"native:{skill}")

    def check_function(self, target: str) -> None:
        """Refuse a function that a python step may not name; raises StepError."""
        rules = None if self._python is None else self._python.modules
        if rules is None:
            return
        module = target.partition(":")[0]
        if not any(module == one or module.startswith(f"{one}.") for one in rules):
            raise denied(f'the Python module "{module}"', "native:python", "modules", rules, module)

    def check_tool(self, name: str, server: str | None) -> None:
        """Refuse a tool that a step may not call; raises StepError."""
        rules = None if self._tool is None else self._tool.allow
        if rules is None:
            return
        whole = f"{server}/{name}"
        if any(fnmatchcase(whole if "/" in rule else name, rule) for rule in rules if server or "/" not in rule):
            return
        if server:
            raise denied(f'the tool "{name}" of "{server}"', "native:tool", "allow", rules, whole)
        raise denied(f'the tool "{name}"', "native:tool", "allow", rules, name)

    def check_agent(self, name: str) -> None:
        """Refuse an agent that a step may not ask; raises StepError."""
        rules = None if self._agent is None else self._agent.allow
        if rules is not None and not any(fnmatchcase(name, rule) for rule in rules):
            raise denied(f'the agent "{name}"', "native:agent", "allow", rules, name)


def denied(what: str, skill: str, limit: str, rules: Iterable[str], missing: str) -> StepError:
    """Return the refusal of something that a limit leaves out.

    Args:
        what: what is refused.
        skill: the skill.
        limit: which of its limits.
        rules: what that lists.
        missing: what it would have to list.
    """
    listed = [*rules]
    rule = f"{limit}: [{', '.join(listed)}]"
    edit = f"{limit}: [{', '.join((*listed, missing))}]"
    return StepError(
        f"{what} isn't allowed by {skill}", code="AF-SKILL-DENIED", kind="skill", retryable=False,
        why=f"the config grants {skill} with {rule}",
        hint=f'if it is meant, in the config: skills: {{"{skill}": {{{edit}}}}}',
    )  # fmt: skip
