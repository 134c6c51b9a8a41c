"""`connections login`."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from agentflow.cli.actions.start import read_timeout
from agentflow.cli.format import plural
from agentflow.cli.loopback import Told, in_time, loopback
from agentflow.cli.options import Common
from agentflow.cli.session import Session, drive, find_project
from agentflow.engine import WaitView
from agentflow.engine.needs import all_steps
from agentflow.errors import AgentflowError
from agentflow.principal import Principal
from agentflow.requirements.connections.logins import Finished, Pending


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `connections login` was asked."""

    name: str
    scopes: tuple[str, ...] = ()
    device: bool = False
    port: int = 0
    no_browser: bool = False
    timeout: str = "5m"
    owner: str = "local"
    tenant: str = ""


def login(common: Common, wanted: Wanted) -> int:
    """Sign in, and let runs go on that waited for it."""
    console = common.console()
    project = find_project(common, config="needed")
    seconds = read_timeout(wanted.timeout) or 300.0
    principal = Principal(wanted.owner, wanted.tenant)

    async def work(session: Session) -> int:
        scopes = await _scopes(session, wanted, principal)
        console.say(f"{wanted.name} needs: {', '.join(scopes)}" if scopes else f"signing in to {wanted.name}")
        if wanted.device:
            finished = await _by_device(session, wanted, principal, scopes, seconds)
        else:
            finished = await _by_browser(session, wanted, principal, scopes, seconds)
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


async def _by_browser(
    session: Session, wanted: Wanted, principal: Principal, scopes: Sequence[str], seconds: float
) -> Finished:
    book, console = session.engine.core.env.book, session.console
    finished: list[Finished] = []
    with loopback(wanted.port) as place:
        pending = await book.begin(wanted.name, principal, scopes=scopes, redirect=place.url, lifetime=seconds)
        shown = console.in_terminal and console.err_terminal and not wanted.no_browser
        opening = shown and await anyio.to_thread.run_sync(webbrowser.open, pending.url)
        console.tell("Opening your browser. If nothing opens, go to:" if opening else "Open this address in a browser:")
        console.tell(f"  {pending.url}")
        console.tell(f"waiting for the answer on {place.url}  (Ctrl+C stops)")

        async def take(query: dict[str, str]) -> Told | None:
            if query.get("state") != pending.state:
                raise AgentflowError(
                    "the answer isn't one to this login", code="AF-AUTH-STATE",
                    why="its state is another one: somebody else may have made the browser go there",
                    hint=f"begin anew: {session.command(f'connections login {wanted.name}')}",
                )  # fmt: skip
            finished.append(await book.finish(pending.state, query))
            if finished[0].lacking:
                return Told("Not enough permissions", f"Missing: {', '.join(finished[0].lacking)}.")
            return Told("Connected", f"{pending.connection} is connected. You may close this page.")

        if not await in_time(seconds, place.answered(take)):
            raise _late(session, wanted)
    return finished[0]


async def _by_device(
    session: Session, wanted: Wanted, principal: Principal, scopes: Sequence[str], seconds: float
) -> Finished:
    book, console = session.engine.core.env.book, session.console
    pending = await book.begin(wanted.name, principal, scopes=scopes)
    console.tell("Open this address in a browser, on any device:")
    console.tell(f"  {pending.complete_url or pending.url}")
    console.tell(f"and enter the code: {pending.user_code}")
    console.tell("waiting until it is entered  (Ctrl+C stops)")
    finished: list[Finished] = []
    if not await in_time(seconds, _polled(session, pending, finished)):
        raise _late(session, wanted)
    return finished[0]


async def _polled(session: Session, pending: Pending, finished: list[Finished]) -> None:
    pause = pending.interval
    while True:
        await anyio.sleep(pause)
        answer = await session.engine.core.env.book.poll(pending.state)
        if isinstance(answer, Finished):
            finished.append(answer)
            return
        pause = answer


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


def _late(session: Session, wanted: Wanted) -> AgentflowError:
    return AgentflowError(
        f"nobody has signed in to {wanted.name} within {wanted.timeout}", code="AF-AUTH-TIMEOUT",
        hint=f"begin anew: {session.command(f'connections login {wanted.name}')}",
    )  # fmt: skip
