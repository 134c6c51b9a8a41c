"""Builds the requests of `api_call`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.message import Message
from typing import Any

import httpx

from agentflow.credentials import Credentials, Outgoing, Sign
from agentflow.data import encode, is_array, is_object
from agentflow.errors import StepError
from agentflow.steps.api_fields import SAFE, ApiCallConfig
from agentflow.steps.charsets import known_charset
from agentflow.steps.compression import ACCEPTED
from agentflow.steps.failing import shorten
from agentflow.steps.fields import as_text
from agentflow.steps.services import HttpSettings
from agentflow.steps.signing import check_host

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_FORM = "application/x-www-form-urlencoded"
_PARTS = "multipart/form-data"
_NO_JSON = re.compile(r"(multipart|image|audio|video|font)/.*|text/(?!plain$|json$).*|.*[/+](xml|yaml)")
"""Content types that can't hold JSON."""


def build(
    client: httpx.AsyncClient,
    config: ApiCallConfig,
    settings: HttpSettings | None,
    credentials: Credentials | None,
    key: str,
) -> httpx.Request:
    """Build a step's request.

    Args:
        client: sends it.
        config: the step.
        settings: the config's base url and headers.
        credentials: of the step's connection.
        key: the step's idempotency key.

    Raises:
        StepError: it can't be made.
    """
    url, headers = _target(config.url, settings)
    if credentials is not None:
        check_host(credentials, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme, 0))
    for more in (config.headers or {}, credentials.headers if credentials is not None else {}):
        headers.update({name.lower(): value.strip(" \t") for name, value in more.items()})
    _check_headers(headers)
    headers.setdefault("accept-encoding", ACCEPTED)
    if config.method not in SAFE:
        headers.setdefault("idempotency-key", key)
    query = {**(config.query or {}), **(credentials.query if credentials is not None else {})}
    if query:
        url = _with_query(url, _pairs(query))
    if is_object(config.body) and _kind(headers) == _PARTS:
        del headers["content-type"]  # the client gives it anew, with its boundary
        request = client.build_request(config.method, url, headers=headers, files=_parts(config.body))
    else:
        content = None if config.body is None else _content(config.body, headers)
        request = client.build_request(config.method, url, headers=headers, content=content)
    if credentials is not None and credentials.sign is not None:
        _sign(request, credentials.sign)
    return request


def _sign(request: httpx.Request, sign: Sign) -> None:
    """Add headers that are computed of the whole request."""
    target, headers = request.url.raw_path.decode("ascii"), {n.lower(): value for n, value in request.headers.items()}
    signed = sign(Outgoing(request.method, target, headers, request.read()))
    _check_headers(signed)
    request.headers.update(signed)


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Return what makes two urls ones of the same service."""
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def where(request: httpx.Request) -> str:
    """Name a request without what may be secret in it: user, password, query."""
    url = request.url.copy_with(username=None, password=None, query=None, fragment=None)
    return f"{request.method} {shorten(str(url), 300)}"


def invalid(what: str, *, hint: str | None = None) -> StepError:
    """Return the failure of a step whose request can't be made."""
    return StepError(what, code="AF-HTTP-REQUEST", kind="invalid", retryable=False, hint=hint)


def _check_headers(headers: Mapping[str, str]) -> None:
    """Refuse what isn't a header, without showing its value: it is often a secret with a stray line break."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise invalid(f'"{shorten(name, 100)}" can\'t be the name of a header')
        if not _HEADER_VALUE.fullmatch(value):
            raise invalid(
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
            raise invalid(f'the url "{shorten(text, 200)}" is relative, and the config has no http.base_url')
        base = httpx.URL(base_url)
        path = base.raw_path.partition(b"?")[0].rstrip(b"/") + b"/" + url.raw_path.lstrip(b"/")
        return base.copy_with(raw_path=path), headers
    if url.scheme not in ("http", "https"):
        raise invalid(f'the url begins with "{url.scheme}:"; it has to be http or https')
    if not url.host or "%" in url.host or (url.port or 0) > 65535:
        raise invalid(f'the url "{shorten(str(url.copy_with(query=None)), 200)}" has no usable host')
    if base_url and origin(httpx.URL(base_url)) != origin(url):
        return url, {}  # the config's headers hold that service's credentials
    return url, headers


def _with_query(url: httpx.URL, pairs: list[tuple[str, str]]) -> httpx.URL:
    """Append parameters. The url's own stay as they are to the byte: they may be signed."""
    path, mark, own = url.raw_path.partition(b"?")
    added = _encoded(pairs)
    if not added:
        return url
    return url.copy_with(raw_path=b"".join((path, b"?", own, b"&" if mark and own else b"", added)))


def _pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and texts of a form or a query: a list repeats its name, null leaves it out."""
    return [(name, as_text(one)) for name, value in values.items() for one in _several(value)]


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if is_array(value) else [value]


def _encoded(pairs: list[tuple[str, str]]) -> bytes:
    return str(httpx.QueryParams(tuple(pairs))).encode()


def _parts(body: Mapping[str, Any]) -> list[tuple[str, tuple[None, bytes]]]:
    """Return the fields of a multipart form, as the client wants them: parts without a file's name."""
    pairs = _pairs(body)
    if not pairs:
        raise invalid("the body of a form has to have a field")
    return [(name, (None, value.encode())) for name, value in pairs]


def _kind(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _content(body: Any, headers: dict[str, str]) -> bytes:
    """Return a body as it goes out: text as it is, a form, else JSON where its type can hold that."""
    kind = _kind(headers)
    if isinstance(body, str):
        if kind.startswith("multipart/") and _parameter(headers, "boundary") is None:
            what = f"a body of {shorten(kind, 100)} needs a boundary in its Content-Type"
            raise invalid(what, hint=f"of a mapping {_PARTS} is made with a boundary of its own")
        headers.setdefault("content-type", "text/plain; charset=utf-8")
        return _in_charset(body.encode(), headers)
    if kind == _FORM:
        return _encoded(_pairs(_form(body)))
    if kind == _PARTS:
        _form(body)
    if _NO_JSON.fullmatch(kind):
        made = "a mapping" if is_object(body) else "a list" if is_array(body) else "a value"
        hint = f"write it as text, with its boundaries, or send {_PARTS}" if kind[:5] == "multi" else "write it as text"
        raise invalid(f"a body of {shorten(kind, 100)} can't be made of {made}", hint=hint)
    headers.setdefault("content-type", "application/json")
    return _in_charset(encode(body), headers)


def _in_charset(raw: bytes, headers: Mapping[str, str]) -> bytes:
    """Return UTF-8 text in the charset that the content type names; one that nobody knows counts as not given."""
    charset = known_charset(_parameter(headers, "charset"))
    if charset is None:
        return raw
    try:
        return raw.decode().encode(charset)
    except UnicodeError:
        raise invalid(f"the body has characters that {charset} can't hold") from None


def _parameter(headers: Mapping[str, str], name: str) -> str | None:
    """Return a parameter of the content type."""
    message = Message()
    message["content-type"] = headers.get("content-type", "")
    value = message.get_param(name)
    return value if isinstance(value, str) and value else None


def _form(body: Any) -> Mapping[str, Any]:
    if not is_object(body):
        raise invalid("the body of a form has to be a mapping of names to values")
    return body
