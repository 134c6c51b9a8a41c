"""What a workflow lacks for somebody, told before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.definition.models import Workflow
from agentflow.engine.host.environment import Environment
from agentflow.engine.program import Program
from agentflow.errors import InputError
from agentflow.principal import Principal
from agentflow.requirements import Preflight, preflight_of
from agentflow.requirements.wants import Known, Want, wants_of

if TYPE_CHECKING:
    from agentflow.config import Config


async def preflight(env: Environment, config: Config, program: Program, principal: Principal) -> Preflight:
    """Return what the steps of a workflow need and a principal hasn't got, and what people will be asked."""
    return await preflight_of(wants(env, config, program.workflow), env.checker, env.credentials, principal)


def wants(env: Environment, config: Config, workflow: Workflow) -> tuple[Want, ...]:
    """Return what the steps of a workflow need, and what people will be asked."""

    def skills(kind: str) -> tuple[str, ...]:
        spec = env.types(kind)
        return spec.skills if spec is not None else ()

    def find(name: str) -> Workflow | None:
        found = env.find_workflow(name, env.agent)
        return found.workflow if found is not None else None

    fed = {name: each.connection for name, each in config.env.items() if each.connection}
    return wants_of(workflow, Known(skills, find, config.tools, config.agents, fed))


async def refuse_lacks(env: Environment, config: Config, program: Program, principal: Principal) -> None:
    """Refuse to start under `preflight: strict` while something is missing; names all of it.

    Raises:
        InputError: something is.
    """
    found = await preflight(env, config, program, principal)
    if found.lacks:
        raise InputError(
            f"Missing skills: {', '.join(found.missing)}", code="AF-SKILL-MISSING", why="\n".join(found.lines()),
            hint="see `fix` of each; nothing was started", data=found.to_data(),
        )  # fmt: skip
