"""Sends the requests of `api_call`. Imported on the first one: httpx costs its import."""

from __future__ import annotations

import base64
import logging
import math
import re
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from agentflow.data import encode, is_array, is_object
from agentflow.errors import StepError
from agentflow.steps.api_call import SAFE, ApiCallConfig
from agentflow.steps.contract import Context
from agentflow.steps.failing import shorten
from agentflow.steps.fields import as_text
from agentflow.steps.results import parse_json
from agentflow.steps.services import HttpSettings, ProcessServices, services_of

MAX_BODY = 4 * 1024 * 1024
_RETRIED = frozenset({408, 425, 429})
"""The 4xx statuses that may pass."""
_KEPT = frozenset(
    {"accept", "accept-encoding", "content-length", "content-type", "host", "idempotency-key", "user-agent"}
)
"""Headers that go along to another origin."""
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_ours: ContextVar[bool] = ContextVar("agentflow_http", default=False)
_FORM = "application/x-www-form-urlencoded"


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
        request = _request(client, config, services.http_settings, extra, ctx.idempotency_key)
        response = await _answered(client, request, config.redirects)
    except StepError:
        raise
    except httpx.TimeoutException as error:
        raise _network_error(config, error, "timeout") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError) as error:
        raise _invalid(f"the request can't be made: {error}") from error
    except httpx.TransportError as error:
        raise _network_error(config, error, "network") from error
    except httpx.DecodingError as error:
        raise _network_error(config, error, "http") from error
    finally:
        _ours.reset(ours)
    body = _read_body(response)
    if not _expected(response.status_code, config.expect):
        raise _status_error(response, body, ctx)
    return {"status": response.status_code, "headers": dict(response.headers.items()), "body": body}


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


def _request(
    client: httpx.AsyncClient,
    config: ApiCallConfig,
    settings: HttpSettings | None,
    extra: Mapping[str, str],
    key: str,
) -> httpx.Request:
    url, headers = _target(config.url, settings)
    for more in (config.headers or {}, extra):
        headers.update({name.lower(): value.strip(" \t") for name, value in more.items()})
    _check_headers(headers)
    if config.method not in SAFE:
        headers.setdefault("idempotency-key", key)
    if config.query:
        pairs = [(name, as_text(one)) for name, value in config.query.items() for one in _several(value)]
        url = url.copy_with(params=_params([*url.params.multi_items(), *pairs]))
    content = None if config.body is None else _content(config.body, headers)
    return client.build_request(config.method, url, headers=headers, content=content)


def _check_headers(headers: Mapping[str, str]) -> None:
    """Refuse what isn't a header, without showing its value: it is often a secret with a stray line break."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise _invalid(f'"{shorten(name, 100)}" can\'t be the name of a header')
        if not _HEADER_VALUE.fullmatch(value):
            raise _invalid(
                f'header "{name}" has a character that headers can\'t have',
                hint="line breaks and letters beyond ASCII aren't allowed; does the value end in a line break?",
            )


def _target(text: str, settings: HttpSettings | None) -> tuple[httpx.URL, dict[str, str]]:
    """Return the whole url, and the config's headers that go there."""
    base_url = settings.base_url if settings else None
    headers = {name.lower(): value for name, value in settings.headers.items()} if settings else {}
    url = httpx.URL(text)
    if url.is_relative_url:
        if not base_url:
            raise _invalid(f'the url "{shorten(text, 200)}" is relative, and the config has no http.base_url')
        base = httpx.URL(base_url)
        path = base.raw_path.partition(b"?")[0].rstrip(b"/") + b"/" + url.raw_path.lstrip(b"/")
        return base.copy_with(raw_path=path), headers
    if url.scheme not in ("http", "https"):
        raise _invalid(f'the url begins with "{url.scheme}:"; it has to be http or https')
    if not url.host or "%" in url.host or (url.port or 0) > 65535:
        raise _invalid(f'the url "{shorten(str(url.copy_with(query=None)), 200)}" has no usable host')
    if base_url and _origin(httpx.URL(base_url)) != _origin(url):
        return url, {}  # the config's headers hold that service's credentials
    return url, headers


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if is_array(value) else [value]


def _params(pairs: list[tuple[str, str]]) -> httpx.QueryParams:
    return httpx.QueryParams(tuple(pairs))


def _content(body: Any, headers: dict[str, str]) -> bytes:
    kind = headers.get("content-type", "")
    if isinstance(body, str):
        headers.setdefault("content-type", "text/plain; charset=utf-8")
        return body.encode()
    if kind.partition(";")[0].strip().lower() == _FORM:
        if not is_object(body):
            raise _invalid("the body of a form has to be a mapping of names to values")
        pairs = [(name, as_text(one)) for name, value in body.items() for one in _several(value)]
        return str(_params(pairs)).encode()
    headers.setdefault("content-type", "application/json")
    return encode(body)


async def _answered(client: httpx.AsyncClient, request: httpx.Request, redirects: int) -> httpx.Response:
    while True:
        response = await client.send(request, stream=True)
        try:
            await _read(response)
        finally:
            await response.aclose()
        following = response.next_request
        if following is None or redirects <= 0:
            return response
        redirects -= 1
        if _origin(following.url) != _origin(request.url):
            for name in [name for name in following.headers if name.lower() not in _KEPT]:
                del following.headers[name]
        request = following


async def _read(response: httpx.Response) -> None:
    """Read the answer's body, up to the limit."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > MAX_BODY:
            raise StepError(
                f"the answer of {_where(response.request)} is larger than 4 MiB",
                code="AF-HTTP-SIZE",
                kind="http",
                retryable=False,
                hint="ask for less (a page, a field list), or fetch it with a script into a file",
            )
        chunks.append(chunk)
    response._content = b"".join(chunks)  # pyright: ignore[reportPrivateUsage]  as httpx's own aread does, with a limit


def _read_body(response: httpx.Response) -> Any:
    raw = response.content
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not raw:
        return None if kind.endswith("json") else ""
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return parse_json(raw)
        except ValueError:
            return response.text
    if not kind.startswith("text/") and response.charset_encoding is None:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return {"raw": base64.b64encode(raw).decode(), "mediaType": kind or "application/octet-stream"}
    return response.text


def _expected(status: int, expect: tuple[str, ...] | None) -> bool:
    if expect is None:
        return 200 <= status < 300
    return str(status) in expect or f"{status // 100}xx" in expect


def _status_error(response: httpx.Response, body: Any, ctx: Context) -> StepError:
    status = response.status_code
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = response.reason_phrase or "unknown status"
    hint = None
    if status in (401, 403):
        hint = "the service refused the credentials: check the headers that the step or the config's http.headers send"
    elif 300 <= status < 400 and "location" in response.headers:
        hint = "a redirect isn't followed unless the step says so: redirects: 3"
    elif 200 <= status < 300:
        hint = "the step's expect doesn't list this status"
    answer = as_text(body) if is_object(body) or is_array(body) else str(body or "")
    return StepError(
        f"HTTP {status} — {phrase} from {_where(response.request)}",
        code="AF-HTTP-STATUS",
        kind="http",
        retryable=status in _RETRIED or status >= 500,
        retry_after=_retry_after(response.headers.get("retry-after"), ctx.now()),
        why=f"answer: {shorten(answer, 500)}" if answer.strip() else None,
        hint=hint,
        data={"status": status},
    )


def _retry_after(value: str | None, now: float) -> float | None:
    """Read a Retry-After header: seconds, or a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _where(request: httpx.Request) -> str:
    """Name a request without what may be secret in it: user, password, query."""
    url = request.url.copy_with(username=None, password=None, query=None, fragment=None)
    return f"{request.method} {shorten(str(url), 300)}"


def _network_error(config: ApiCallConfig, error: httpx.HTTPError, kind: Any) -> StepError:
    try:
        where = _where(error.request)
    except RuntimeError:
        where = config.method
    said = str(error) or type(error).__name__
    return StepError(
        f"{where} got no answer: {shorten(said, 300)}",
        code="AF-HTTP-DECODE" if kind == "http" else "AF-HTTP-NETWORK",
        kind=kind,
    )


def _invalid(what: str, *, hint: str | None = None) -> StepError:
    return StepError(what, code="AF-HTTP-REQUEST", kind="invalid", retryable=False, hint=hint)


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not _ours.get()


logging.getLogger("httpx").addFilter(_is_not_ours)  # it logs whole urls, whose query may hold secrets
