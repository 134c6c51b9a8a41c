"""What `api_call` sends. Imported on the first one: httpx costs its import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from agentflow.errors import StepError
from agentflow.steps.api_fields import ApiCallConfig
from agentflow.steps.contract import Context
from agentflow.steps.http import send
from agentflow.steps.http_request import build, invalid
from agentflow.steps.services import ProcessServices, services_of


async def call(config: ApiCallConfig, ctx: Context) -> dict[str, Any]:
    """Send a step's request.

    Returns:
        Status, headers (lower-case names) and body.

    Raises:
        StepError: it can't be sent, isn't answered, or its status isn't a success.
    """
    services = services_of(ctx)
    extra = await _credentials(config, services, ctx)
    client = services.http
    try:
        request = build(client, config, services.http_settings, extra, ctx.idempotency_key)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise invalid(f"the request can't be made: {error}") from error
    answer = await send(
        request,
        client,
        redirects=config.redirects,
        expect=config.expect,
        hint=lambda response: _hint(response, config.redirects),
        now=ctx.now,
    )
    return answer._asdict()


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


def _hint(response: httpx.Response, redirects: int) -> str | None:
    """Tell what helps a step against a status."""
    status = response.status_code
    if status in (401, 403):
        return "the service refused the credentials: check the headers that the step or the config's http.headers send"
    if 300 <= status < 400 and "location" in response.headers:
        return _redirect_hint(redirects)
    return "the step's expect doesn't list this status" if 200 <= status < 300 else None


def _redirect_hint(followed: int) -> str:
    if not followed:
        return "a redirect isn't followed unless the step says so: redirects: 3"
    times = "a redirect was" if followed == 1 else f"{followed} redirects were"
    return f"{times} followed, as the step says, and this is one more: do they go in a circle?"
