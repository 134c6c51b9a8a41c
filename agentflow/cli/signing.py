"""Signing in to connections from a terminal: by a browser, or by a code."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from agentflow.cli.loopback import Told, in_time, loopback
from agentflow.cli.session import Session
from agentflow.engine import WaitView
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


async def sign_in(
    session: Session, wanted: Wanted, principal: Principal, scopes: Sequence[str], seconds: float
) -> Finished:
    """Let somebody sign in, in a browser or by a code; raises AgentflowError where that comes to nothing."""
    way = _by_device if wanted.device else _by_browser
    return await way(session, wanted, principal, scopes, seconds)


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
        console.address(pending.url)
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


def _late(session: Session, wanted: Wanted) -> AgentflowError:
    return AgentflowError(
        f"nobody has signed in to {wanted.name} within {wanted.timeout}", code="AF-AUTH-TIMEOUT",
        hint=f"begin anew: {session.command(f'connections login {wanted.name}')}",
    )  # fmt: skip


async def sign_in_for(session: Session, view: WaitView, wanted: Wanted, seconds: float) -> bool:
    """Let somebody sign in to what a wait asks for; False: it is told by itself when that is done.

    Raises:
        AgentflowError: nobody has signed in.
    """
    console, name = session.console, view.connection or ""
    if view.url is not None:  # of a provider in code
        if console.in_terminal and console.err_terminal and not wanted.no_browser:
            await anyio.to_thread.run_sync(webbrowser.open, view.url)
        console.tell("Sign in here:")
        console.result(view.url)
        if view.user_code is not None:
            console.tell(f"and enter the code: {view.user_code}")
        return False
    principal, scopes = Principal(view.owner, view.tenant), [str(each) for each in view.details.get("scopes", ())]
    finished = await sign_in(session, wanted, principal, scopes, seconds)
    await session.engine.connections.signed_in(finished.connection, principal=principal)
    console.tell(f"signed in to {name}" + (f" as {finished.account}" if finished.account else ""))
    return True
