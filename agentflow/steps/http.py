"""Sends the requests of `api_call`. Imported on the first one: httpx costs its import."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

import httpx

from agentflow.data import is_array, is_object
from agentflow.errors import StepError
from agentflow.steps.api_fields import ApiCallConfig
from agentflow.steps.contract import Context
from agentflow.steps.failing import shorten
from agentflow.steps.fields import as_text
from agentflow.steps.http_answer import body_of, headers_of, received, retry_after, unpacked
from agentflow.steps.http_request import build, invalid, origin, where
from agentflow.steps.services import ProcessServices, services_of

_RETRIED = frozenset({408, 425, 429})
"""The 4xx statuses that may pass."""
_KEPT = frozenset(
    {"accept", "accept-encoding", "content-length", "content-type", "host", "idempotency-key", "user-agent"}
)
"""Headers that go along to another origin."""
_ours: ContextVar[bool] = ContextVar("agentflow_http", default=False)


async def send(config: ApiCallConfig, ctx: Context) -> dict[str, Any]:
    """Send a step's request.

    Returns:
        Status, headers (lower-case names) and body.

    Raises:
        StepError: it can't be sent, isn't answered, or its status isn't a success.
    """
    services = services_of(ctx)
    extra = await _credentials(config, services, ctx)
    client = services.http
    ours = _ours.set(True)
    try:
        request = build(client, config, services.http_settings, extra, ctx.idempotency_key)
        response, raw = await _answered(client, request, config.redirects)
    except StepError:
        raise
    except httpx.TimeoutException as error:
        raise _network_error(config, error, "timeout") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError) as error:
        raise invalid(f"the request can't be made: {error}") from error
    except httpx.TransportError as error:
        raise _network_error(config, error, "network") from error
    finally:
        _ours.reset(ours)
    body = body_of(response, raw)
    if not _expected(response.status_code, config.expect):
        raise _status_error(response, body, config, ctx)
    return {"status": response.status_code, "headers": headers_of(response), "body": body}


async def _credentials(config: ApiCallConfig, services: ProcessServices, ctx: Context) -> Mapping[str, str]:
    if config.connection is None:
        return {}
    connection = services.connections.get(config.connection)
    if connection is None:
        raise StepError(
            f"Missing skills: {config.connection}",
            code="AF-SKILL-MISSING",
            kind="skill",
            retryable=False,
            hint=f'connect "{config.connection}", or give the credentials in headers',
        )
    return await connection.headers(ctx)


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


def _status_error(response: httpx.Response, body: Any, config: ApiCallConfig, ctx: Context) -> StepError:
    status = response.status_code
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = response.reason_phrase or "unknown status"
    hint = None
    if status in (401, 403):
        hint = "the service refused the credentials: check the headers that the step or the config's http.headers send"
    elif 300 <= status < 400 and "location" in response.headers:
        hint = _redirect_hint(config.redirects)
    elif 200 <= status < 300:
        hint = "the step's expect doesn't list this status"
    answer = as_text(body) if is_object(body) or is_array(body) else str(body or "")
    return StepError(
        f"HTTP {status} — {phrase} from {where(response.request)}",
        code="AF-HTTP-STATUS",
        kind="http",
        retryable=status in _RETRIED or status >= 500,
        retry_after=retry_after(response.headers.get("retry-after"), ctx.now()),
        why=f"answer: {shorten(answer, 500)}" if answer.strip() else None,
        hint=hint,
        data={"status": status},
    )


def _redirect_hint(followed: int) -> str:
    if not followed:
        return "a redirect isn't followed unless the step says so: redirects: 3"
    times = "a redirect was" if followed == 1 else f"{followed} redirects were"
    return f"{times} followed, as the step says, and this is one more: do they go in a circle?"


def _network_error(config: ApiCallConfig, error: httpx.HTTPError, kind: Any) -> StepError:
    try:
        asked = where(error.request)
    except RuntimeError:
        asked = config.method
    said = str(error) or type(error).__name__
    return StepError(f"{asked} got no answer: {shorten(said, 300)}", code="AF-HTTP-NETWORK", kind=kind)


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not _ours.get()


logging.getLogger("httpx").addFilter(_is_not_ours)  # it logs whole urls, whose query may hold secrets
