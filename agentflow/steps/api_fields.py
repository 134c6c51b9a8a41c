"""The fields of `api_call`."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, field_validator

from agentflow.definition.models import Model
from agentflow.steps.fields import Name, Text

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
SAFE = frozenset(METHODS[:3])
"""Methods that change nothing: sent without an `Idempotency-Key`."""
_STATUS = re.compile(r"[1-5]\d\d|[1-5]xx", re.IGNORECASE)


class ApiCallConfig(Model):
    """One HTTP request and what counts as its success."""

    method: str = "GET"
    """GET, HEAD, OPTIONS, POST, PUT, PATCH or DELETE."""
    url: Name
    """Address; a relative one goes below the config's `http.base_url`."""
    query: dict[str, Any] | None = None
    """Query parameters, appended to the url's own; a list repeats its name, null leaves it out."""
    headers: dict[str, Text] | None = None
    """Headers; they replace the config's `http.headers` of the same name."""
    body: Any = None
    """What is sent: text as it is, anything else as JSON, or as a form (urlencoded, multipart) by its Content-Type."""
    connection: Name | None = None
    """A connection, such as `google:drive`, whose credentials are sent."""
    expect: tuple[str, ...] | None = None
    """Statuses that are a success, such as `[200, 404]` or `2xx`; default: 2xx."""
    redirects: int = Field(default=0, ge=0, le=20)
    """How many redirects are followed; credentials aren't sent to another origin."""

    @field_validator("method")
    @classmethod
    def _method(cls, value: str) -> str:
        if value.upper() not in METHODS:
            raise ValueError(f'"{value}" is no HTTP method; known are {", ".join(METHODS)}')
        return value.upper()

    @field_validator("expect", mode="before")
    @classmethod
    def _expect(cls, value: Any) -> Any:
        if value is None:
            return None
        several: list[Any] = [*value] if isinstance(value, list | tuple) else [value]
        for one in several:
            if isinstance(one, bool) or not _STATUS.fullmatch(str(one)):
                raise ValueError(f'"{one}" is no status; write it like 404 or 2xx')
        return tuple(str(one).lower() for one in several)
