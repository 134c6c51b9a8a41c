"""Reads the answers that `api_call` gets."""

from __future__ import annotations

import base64
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx

from agentflow.errors import StepError
from agentflow.steps.charsets import json_of, text_of
from agentflow.steps.compression import DamagedError, ForeignError, TooLargeError, unpack
from agentflow.steps.failing import shorten
from agentflow.steps.http_request import where

MAX_BODY = 4 * 1024 * 1024
_SECONDS = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_LONGEST = 1e12
"""Seconds. A longer time is told as this one: nobody waits so long."""


async def received(response: httpx.Response) -> bytes:
    """Take a body as it comes, up to the limit. The client's own unpacking ends silently where the data does.

    Raises:
        StepError: it is too large.
        httpx.TransportError: it doesn't come, or not all of it.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in cast("httpx.AsyncByteStream", response.stream):
            size += len(chunk)
            if size > MAX_BODY:
                raise _too_large(response)
            chunks.append(chunk)
    except httpx.TransportError as error:
        error.request = response.request
        raise
    return b"".join(chunks)


def unpacked(response: httpx.Response, raw: bytes) -> bytes:
    """Undo the compression of a body.

    Raises:
        StepError: it is too large, or damaged.
    """
    try:
        return unpack(raw, response.headers.get_list("content-encoding", split_commas=True), MAX_BODY)
    except TooLargeError:
        raise _too_large(response) from None
    except (DamagedError, ForeignError) as error:
        raise StepError(
            f"the answer of {where(response.request)} can't be unpacked: {shorten(str(error), 200)}",
            code="AF-HTTP-DECODE",
            kind="http",
            retryable=isinstance(error, DamagedError),
            hint=None if isinstance(error, DamagedError) else "leave out the step's own Accept-Encoding",
        ) from None


def _too_large(response: httpx.Response) -> StepError:
    return StepError(
        f"the answer of {where(response.request)} is larger than 4 MiB",
        code="AF-HTTP-SIZE",
        kind="http",
        retryable=False,
        hint="ask for less (a page, a field list), or fetch it with a script into a file",
    )


def headers_of(response: httpx.Response) -> dict[str, Any]:
    """Return the headers by lower-case name.

    Repeated ones are joined by commas, as HTTP has it. Only cookies would be lost by that: they are a list.
    """
    headers: dict[str, Any] = dict(response.headers.items())
    if "set-cookie" in headers:
        headers["set-cookie"] = response.headers.get_list("set-cookie")
    return headers


def body_of(response: httpx.Response, raw: bytes) -> Any:
    """Return the body as data or text, as its media type says; anything else in base64."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    charset = response.charset_encoding
    if not raw:
        return None if kind.endswith("json") else ""
    if kind in ("application/json", "text/json") or kind.endswith("+json"):
        try:
            return json_of(raw, charset)
        except ValueError:
            return text_of(raw, charset)
    if kind.startswith("text/") or charset is not None:
        return text_of(raw, charset)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"raw": base64.b64encode(raw).decode(), "mediaType": kind or "application/octet-stream"}


def retry_after(value: str | None, now: float) -> float | None:
    """Read a Retry-After header: seconds, or a date. None: it has neither."""
    if value is None:
        return None
    if _SECONDS.fullmatch(value):
        return min(max(float(value), 0.0), _LONGEST)
    try:
        moment = parsedate_to_datetime(value)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return max(seconds, 0.0)
