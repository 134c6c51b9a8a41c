"""Sends HTTP requests under the network rules: of steps, and of whatever else calls out. httpx costs its import."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx

from agentflow.data import is_array, is_object
from agentflow.errors import FailureKind, StepError
from agentflow.steps.failing import shorten
from agentflow.steps.fields import as_text
from agentflow.steps.http_answer import body_of, headers_of, received, retry_after, unpacked
from agentflow.steps.http_request import invalid, origin, where

_RETRIED = frozenset({408, 425, 429})
"""The 4xx statuses that may pass."""
_KEPT = frozenset(
    {"accept", "accept-encoding", "content-length", "content-type", "host", "idempotency-key", "user-agent"}
)
"""Headers that go along to another origin."""
_ours: ContextVar[bool] = ContextVar("agentflow_http", default=False)


class Answer(NamedTuple):
    """What came back: headers with lower-case names, the body as data, as text, or as base64."""

    status: int
    headers: dict[str, Any]
    body: Any


def no_hint(response: httpx.Response) -> str | None:
    """Know no help against a status."""
    return None


async def send(
    request: httpx.Request,
    client: httpx.AsyncClient,
    *,
    redirects: int = 0,
    expect: tuple[str, ...] | None = None,
    hint: Callable[[httpx.Response], str | None] = no_hint,
    now: Callable[[], float] = time.time,
) -> Answer:
    """Send a request and read its answer.

    Args:
        request: made by `client.build_request`.
        client: a `guarded_client`, such as `ProcessServices.http`: it keeps to the rules of `native:network`.
        redirects: how many are followed. Headers that may be credentials don't go along to another origin.
        expect: statuses (`404`, `4xx`) that are a success; default: 2xx.
        hint: tells what helps against a status that isn't one.
        now: seconds since 1970, for answers that say when to come again.

    Raises:
        StepError: it can't be sent (`AF-HTTP-REQUEST`, `AF-NETWORK-DENIED`), isn't answered (`AF-HTTP-NETWORK`), or its
            status isn't a success (`AF-HTTP-STATUS`).
    """
    ours = _ours.set(True)
    try:
        response, raw = await _answered(client, request, redirects)
    except httpx.TimeoutException as error:
        raise _unanswered(request, error, "timeout") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError) as error:
        raise invalid(f"the request can't be made: {error}") from error
    except httpx.TransportError as error:
        raise _unanswered(request, error, "network") from error
    finally:
        _ours.reset(ours)
    body = body_of(response, raw)
    if not _expected(response.status_code, expect):
        raise _status_error(response, body, hint(response), now())
    return Answer(response.status_code, headers_of(response), body)


async def _answered(client: httpx.AsyncClient, request: httpx.Request, redirects: int) -> tuple[httpx.Response, bytes]:
    """Send a request, follow redirects, and return the last answer with its body."""
    while True:
        response = await client.send(request, stream=True, auth=_auth(request))
        try:
            raw = await received(response)
        finally:
            await response.aclose()
        following = response.next_request
        if following is None or redirects <= 0:
            return response, unpacked(response, raw)
        redirects -= 1
        if origin(following.url) != origin(request.url):
            for name in [name for name in following.headers if name.lower() not in _KEPT]:
                del following.headers[name]
        request = following


def _auth(request: httpx.Request) -> httpx.Auth | None:
    """Keep the client from replacing a request's own Authorization by what the url has before its host."""
    return httpx.Auth() if "authorization" in request.headers else None


def _expected(status: int, expect: tuple[str, ...] | None) -> bool:
    if expect is None:
        return 200 <= status < 300
    return str(status) in expect or f"{status // 100}xx" in expect


def _status_error(response: httpx.Response, body: Any, hint: str | None, now: float) -> StepError:
    status = response.status_code
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = response.reason_phrase or "unknown status"
    answer = as_text(body) if is_object(body) or is_array(body) else str(body or "")
    return StepError(
        f"HTTP {status} — {phrase} from {where(response.request)}",
        code="AF-HTTP-STATUS",
        kind="http",
        retryable=status in _RETRIED or status >= 500,
        retry_after=retry_after(response.headers.get("retry-after"), now),
        why=f"answer: {shorten(answer, 500)}" if answer.strip() else None,
        hint=hint,
        data={"status": status},
    )


def _unanswered(request: httpx.Request, error: httpx.TransportError, kind: FailureKind) -> StepError:
    try:
        asked = error.request  # of a redirect, perhaps
    except RuntimeError:
        asked = request
    said = str(error) or type(error).__name__
    return StepError(f"{where(asked)} got no answer: {shorten(said, 300)}", code="AF-HTTP-NETWORK", kind=kind)


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not _ours.get()


# They log whole urls, whose query may hold secrets, and headers of answers, which may repeat them.
for _name in ("httpx", "httpcore.http11", "httpcore.http2"):
    logging.getLogger(_name).addFilter(_is_not_ours)
