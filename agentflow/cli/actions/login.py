"""`connections login`."""

from __future__ import annotations

from collections.abc import Sequence

from agentflow.cli.format import plural
from agentflow.cli.options import Common
from agentflow.cli.projects import find_project
from agentflow.cli.session import Session, drive
from agentflow.cli.signing import Wanted, sign_in
from agentflow.cli.values import read_timeout
from agentflow.definition.nested import all_steps
from agentflow.engine import WaitView
from agentflow.errors import AgentflowError
from agentflow.principal import Principal
from agentflow.requirements.connections.logins import Finished


def login(common: Common, wanted: Wanted) -> int:
    """Sign in, and let runs go on that waited for it."""
    console = common.console()
    project = find_project(common, config="needed")
    seconds = read_timeout(wanted.timeout) or 300.0
    principal = Principal(wanted.owner, wanted.tenant)

    async def work(session: Session) -> int:
        scopes = await _scopes(session, wanted, principal)
        console.say(f"{wanted.name} needs: {', '.join(scopes)}" if scopes else f"signing in to {wanted.name}")
        finished = await sign_in(session, wanted, principal, scopes, seconds)
        ended = await session.engine.connections.signed_in(finished.connection, principal=principal)
        await _tell(session, finished, ended)
        if finished.lacking:
            raise _lacking(finished)
        return 0

    return drive(console, project, work, host="none", makes=True)


async def _scopes(session: Session, wanted: Wanted, principal: Principal) -> list[str]:
    """Return the permissions that are needed: what is said, what steps of the config declare, and what waits ask."""
    env = session.engine.core.env
    name = env.book.settings.of(wanted.name).name
    found = list(wanted.scopes)
    for workflow in session.engine.config.workflows.values():
        for need in (need for step in all_steps(workflow) for need in step.requires):
            if not need.is_native and env.book.settings.name_of(need.skill) == name:
                found += need.permissions
    for view in await session.engine.connections.waits(name, principal=principal):
        found += [str(scope) for scope in view.details.get("scopes", ())]
    return list(dict.fromkeys(found))


async def _tell(session: Session, finished: Finished, ended: Sequence[WaitView]) -> None:
    console = session.console
    runs = list(dict.fromkeys(view.root_id for view in ended))
    await session.learn(runs, "run")
    if console.mode != "text":
        console.data(
            {
                "connection": finished.connection, "account": finished.account, "owner": finished.owner,
                "scopes": list(finished.scopes), "lacking": list(finished.lacking), "runs": runs,
            }
        )  # fmt: skip
        return
    who = f"signed in as {finished.account}" if finished.account else f"signed in to {finished.connection}"
    scopes = f", scopes: {', '.join(finished.scopes)}" if finished.scopes else ""
    console.result(console.paint("✔ ", "green", out=True) + who + scopes)
    if runs:
        went = "goes" if len(runs) == 1 else "go"
        shorts = ", ".join(session.short(run) for run in runs)
        console.result(f"  {plural(len(runs), 'run')} waited for it and {went} on: {shorts}")


def _lacking(finished: Finished) -> AgentflowError:
    return AgentflowError(
        f"{finished.connection} wasn't granted: {', '.join(finished.lacking)}", code="AF-AUTH-SCOPES",
        why="steps that need it still wait",
        hint=f"agentflow connections login {finished.connection}, and grant all of it",
    )  # fmt: skip
