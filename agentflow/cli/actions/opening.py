"""`waits open`: signs in to what a wait asks for."""

from __future__ import annotations

from dataclasses import dataclass

from agentflow.cli.actions.change import carry_on, observe
from agentflow.cli.actions.waits import OPEN, find_wait
from agentflow.cli.options import Common
from agentflow.cli.projects import find_project
from agentflow.cli.session import Session, drive
from agentflow.cli.signing import Wanted, sign_in_for
from agentflow.cli.values import read_timeout
from agentflow.errors import ConflictError, InputError


@dataclass(frozen=True, slots=True)
class Opening:
    """What `waits open` was asked."""

    wait: str
    device: bool = False
    no_browser: bool = False
    timeout: str = "5m"


def open_wait(common: Common, wanted: Opening) -> int:
    """Sign in to what a wait asks for, and carry its run on."""
    console = common.console()
    project = find_project(common, config="needed")
    seconds = read_timeout(wanted.timeout) or 300.0

    async def work(session: Session) -> int:
        view = await find_wait(session.desk, wanted.wait)
        if view.connection is None:
            short = session.short(view.id)
            hint = f"answer it: {session.command(f'waits answer {short}')}"
            raise InputError(f"wait {short} asks nobody to sign in", code="AF-WAIT-INVALID", hint=hint)
        if view.state not in OPEN:
            raise ConflictError(f"wait {session.short(view.id)} is over: it is {view.state}", code="AF-WAIT-CLOSED")
        follower = await observe(session, view.root_id)
        follower.mine.add(view.id)
        asked = Wanted(
            view.connection, device=wanted.device, no_browser=wanted.no_browser, timeout=wanted.timeout,
            owner=view.owner, tenant=view.tenant,
        )  # fmt: skip
        if await sign_in_for(session, view, asked, seconds):
            await carry_on(session, follower)
        return 0

    return drive(console, project, work, host="own", kind="wait")
