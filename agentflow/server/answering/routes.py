"""Serves answer pages."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from agentflow.data import parse
from agentflow.engine import Answer, Decline, Engine, WaitView
from agentflow.engine.finding import task_of
from agentflow.engine.models import wait_view
from agentflow.errors import AgentflowError, ConflictError, InputError
from agentflow.server.answering import page
from agentflow.server.answering.fields import answer_of, fields_of
from agentflow.server.answering.links import PATH, Link, opened
from agentflow.server.bodies import read
from agentflow.store.common import OPEN

DOOR: Final = "web"
LARGEST: Final = 1 << 20
"""Bytes of a filled form."""
_STYLE: Final = b64encode(sha256(page.STYLE.encode()).digest()).decode()
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""The page loads nothing, is shown in no other page, and its address goes to no other site."""


_STRANGE: Final = ("Not sent from this page", "Nothing was done: open the address again.")


def routes(engine: Engine, url: str) -> list[Route]:
    """Return the route of an agent's answer pages, below its own path.

    Args:
        engine: has the waits.
        url: where people reach the agent.
    """
    own = urlsplit(url).netloc

    async def served(request: Request) -> Response:
        link = opened(engine, request.path_params["token"])
        view = await _wait(engine, link) if link is not None else None
        if link is None or view is None:
            return _html(page.over("Nothing to answer", "This address isn't valid, or not any more."), 404)
        if view.state not in OPEN:
            return _html(page.over(*_outcome(view)))
        if request.method == "POST":
            if not _is_own(request, own):
                return _html(page.over(*_STRANGE), 403)
            return await _posted(engine, request, link, view)
        return _html(_asking(engine, link, view, {}))

    return [Route(f"/{PATH}/{{token}}", served, methods=["GET", "POST"])]


async def _wait(engine: Engine, link: Link) -> WaitView | None:
    found = await task_of(engine.store, link.wait_id, link.principal)
    return None if found is None else wait_view(found)


def _outcome(view: WaitView) -> tuple[str, str]:
    if view.answered_at is None:
        return "No answer is needed any more", "What was asked here has ended without one."
    return "Thank you", "The answer is in, and the run goes on. You may close this page."


async def _posted(engine: Engine, request: Request, link: Link, view: WaitView) -> Response:
    body = await read(request.receive, LARGEST)
    if body is None or len(body) > LARGEST:
        return _html(page.over("Too large", "The wait is still open: answer with less."), 413)
    try:
        sent = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=500)
    except ValueError:
        return _html(page.over(*_STRANGE), 400)
    given = {name: "\n".join(values) if name.startswith("v.") else values[-1] for name, values in sent.items()}
    if not _is_checked(engine, link, given.get(page.CHECK, "")):
        return _html(page.over(*_STRANGE), 403)
    return await _answered(engine, request, link, view, given)


async def _answered(engine: Engine, request: Request, link: Link, view: WaitView, given: Mapping[str, str]) -> Response:
    filled = {name.removeprefix("v."): value for name, value in given.items() if name.startswith("v.")}
    answer: Answer | Decline
    raw = given.get(page.JSON, "") if given.get("do") == page.JSON else ""
    if raw:
        try:
            answer = Answer(parse(raw))
        except ValueError as error:
            return _html(_asking(engine, link, view, filled, f"That isn't JSON: {error}", raw), 422)
    elif given.get("do") == "decline":
        answer = Decline(given.get(page.REASON, "")[:2000] or "refused on the answer page")
    else:
        answer = Answer(answer_of(fields_of(view.schema, view.default if view.has_default else None), filled))
    try:
        await engine.resume(view.id, answer, door=DOOR, principal=link.principal)
    except InputError as error:
        told = "\n".join(["That doesn't fit:", error.why or error.what])
        return _html(_asking(engine, link, view, filled, engine.config.redactor.text(told), raw), 422)
    except ConflictError:
        pass  # somebody else was first: the page tells
    except AgentflowError:
        return _html(page.over("Not now", "The run can't be reached just now. Try again later."), 503)
    return RedirectResponse(f"./{request.path_params['token']}", 303, HEADERS)  # whatever a proxy has before it


def _asking(
    engine: Engine, link: Link, view: WaitView, filled: Mapping[str, str], problem: str | None = None, raw: str = ""
) -> str:
    check = engine.sealer.seal(b"", purpose=_purpose(link), owner=link.principal.owner)
    default = view.default if view.has_default else None
    fields = fields_of(view.schema, default)
    shown = "" if any(field.secret for field in fields) else raw
    return page.asking(view, fields, filled, check, problem, shown)


def _is_checked(engine: Engine, link: Link, check: str) -> bool:
    """Tell whether a form is one of ours, for this wait."""
    try:
        engine.sealer.open(check, purpose=_purpose(link), owner=link.principal.owner)
    except InputError:
        return False
    return True


def _purpose(link: Link) -> str:
    return f"answer form\0{link.wait_id}"


def _is_own(request: Request, own: str) -> bool:
    """Tell whether a form doesn't come from a page of another site."""
    site = request.headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc in (own, request.headers.get("host", ""))


def _html(text: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(text, status, HEADERS)
