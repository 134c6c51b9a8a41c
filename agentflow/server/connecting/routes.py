"""Serves the pages where people sign in to other services.

Who opens the address of a wait is told what is asked, and for whom. From that page only, by a mark in it and in a
cookie, he goes on to the service: an address that is sent to somebody can't lead him past it. A state, a proof (PKCE)
and a cookie are made for this one time: the answer counts once, and from the browser that began only. Nothing of it is
kept in this process: another one may take the answer, and one that was started since.
"""

from __future__ import annotations

import hashlib
import secrets
from functools import partial
from hmac import compare_digest
from html import escape
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from agentflow.engine import Engine, WaitView
from agentflow.engine.finding import task_of
from agentflow.engine.models import wait_view
from agentflow.errors import AgentflowError
from agentflow.principal import Principal
from agentflow.requirements.connections.logins import Finished
from agentflow.server.answering import page
from agentflow.server.answering.routes import HEADERS
from agentflow.server.connecting.links import BACK, PATH, Link, link_to, opened
from agentflow.store.common import OPEN

LASTS: Final = 900.0
"""Seconds that somebody has between leaving for the service and coming back."""
_COOKIE: Final = "agentflow_login_"


def routes(engine: Engine, url: str) -> list[Route]:
    """Return the routes of an agent's logins, below its own path.

    Args:
        engine: has the connections.
        url: where people reach the agent.
    """
    engine.connections.page = partial(link_to, engine, url)  # whoever asks for a wait is told where
    redirect = f"{url}/{BACK}"

    async def began(request: Request) -> Response:
        link = opened(engine, request.path_params["token"])
        view = await _wait(engine, link) if link is not None else None
        if link is None or view is None:
            return _page("Nothing to sign in to", "This address isn't valid, or not any more.", 404)
        if view.state not in OPEN:
            return _page("Nothing to do any more", "What was asked here has ended.")
        shown = _cookie(request.path_params["token"])
        if not compare_digest(request.query_params.get("go", "-").encode(), request.cookies.get(shown, "").encode()):
            mark = secrets.token_urlsafe(24)
            return _with(HTMLResponse(_asking(view, mark), headers=dict(HEADERS)), shown, mark, f"{url}/{PATH}")
        nonce = secrets.token_urlsafe(24)
        try:
            pending = await engine.core.env.book.begin(
                _connection(view), link.principal, scopes=_scopes(view), redirect=redirect, wait=view.id,
                browser=nonce, lifetime=LASTS,
            )  # fmt: skip
        except AgentflowError as error:
            return _failed(engine, error)
        away = RedirectResponse(pending.url, 303, {**HEADERS, "Referrer-Policy": "no-referrer"})
        return _with(away, _cookie(pending.state), nonce, redirect)

    async def back(request: Request) -> Response:
        query = dict(request.query_params)
        state = query.get("state", "")
        try:
            finished = await engine.core.env.book.finish(state, query, browser=request.cookies.get(_cookie(state)))
        except AgentflowError as error:
            if error.code == "AF-AUTH-DENIED":
                await _refused(engine, state, error)
            return _failed(engine, error)
        principal = Principal(finished.owner, finished.tenant)
        try:
            ended = await engine.connections.signed_in(finished.connection, principal=principal)
        except AgentflowError:  # the tokens are kept: whoever serves next lets the runs go on
            return _page("Connected", f"{finished.connection} is connected. Runs that waited for it go on later.")
        return _page(*_told(engine, finished, len({view.root_id for view in ended})))

    return [
        Route(f"/{PATH}/{{token}}", began, methods=["GET"]),
        Route(f"/{BACK}", back, methods=["GET"]),
    ]


async def _wait(engine: Engine, link: Link) -> WaitView | None:
    found = await task_of(engine.store, link.wait_id, link.principal)
    return None if found is None else wait_view(found)


async def _refused(engine: Engine, state: str, error: AgentflowError) -> None:
    """Let the step fail whose wait was refused."""
    login = await engine.core.env.book.logins.about(state)
    if login is not None and login.wait is not None:
        principal = Principal(login.spot.owner, login.spot.tenant)
        await engine.connections.refused(login.wait, error.what, principal=principal)


def _connection(view: WaitView) -> str:
    return str(view.details.get("connection", ""))


def _scopes(view: WaitView) -> list[str]:
    return [str(scope) for scope in view.details.get("scopes", ())]


def _cookie(state: str) -> str:
    return _COOKIE + hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()[:12]


def _with(response: Response, name: str, value: str, url: str) -> Response:
    """Return a response with a cookie that comes back to an address, and to those below."""
    to = urlsplit(url)
    response.set_cookie(
        name, value, max_age=int(LASTS), path=to.path, secure=to.scheme == "https", httponly=True, samesite="lax"
    )
    return response


def _asking(view: WaitView, mark: str) -> str:
    scopes = "".join(f"<li>{escape(scope)}</li>" for scope in _scopes(view))
    permissions = f"<p>It needs these permissions:</p><ul>{scopes}</ul>" if scopes else ""
    body = f"""\
<h1>{escape(view.workflow)} asks you to connect {escape(_connection(view))}</h1>
<p class="soft">Step {escape(view.step)} of the run {escape(view.root_id)} of {escape(view.owner)} waits for it.</p>
<blockquote>{escape(view.message)}</blockquote>{permissions}
<p><a class="main" href="?go={mark}">Sign in to {escape(_connection(view))}</a></p>
<p class="soft">What you consent to is used by workflows of {escape(view.owner)}.
If that isn't you, close this page.</p>"""
    return page.whole(f"Connect {_connection(view)}", body)


def _told(engine: Engine, finished: Finished, runs: int) -> tuple[str, str]:
    who = f" as {finished.account}" if finished.account else ""
    going = {0: "No run waited for it", 1: "The run that waited for it goes on"}.get(runs, f"{runs} runs go on")
    if finished.lacking:
        lacks = ", ".join(finished.lacking)
        return "Not enough permissions", f"{finished.connection} is connected{who}, but these are missing: {lacks}."
    text = f"{finished.connection} is connected{who}. {going}. You may close this page."
    return "Connected", engine.config.redactor.text(text)


def _failed(engine: Engine, error: AgentflowError) -> HTMLResponse:
    status = {"AF-AUTH-DENIED": 403, "AF-AUTH-STATE": 403, "AF-AUTH-TIMEOUT": 410}.get(error.code, 502)
    text = ": ".join(part for part in (error.what, error.why) if part)
    title = {"AF-AUTH-DENIED": "Refused", "AF-AUTH-TIMEOUT": "Too late"}.get(error.code, "Not connected")
    return _page(title, f"{engine.config.redactor.text(text)}. [{error.code}]", status)


def _page(title: str, text: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(page.over(title, text), status, dict(HEADERS))
