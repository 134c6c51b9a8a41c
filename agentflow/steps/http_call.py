"""What `api_call` sends. Imported on the first one: httpx costs its import."""

from __future__ import annotations

from typing import Any

import httpx

from agentflow.credentials import Credentials
from agentflow.steps.api_fields import ApiCallConfig
from agentflow.steps.contract import Context
from agentflow.steps.http import send
from agentflow.steps.http_request import build, invalid
from agentflow.steps.services import services_of
from agentflow.steps.signing import signed


async def call(config: ApiCallConfig, ctx: Context) -> dict[str, Any]:
    """Send a step's request.

    Returns:
        Status, headers (lower-case names) and body.

    Raises:
        StepError: it can't be sent, isn't answered, or its status isn't a success.
        NotConnected: its connection has no credentials, or only such as the service refuses.
    """
    services = services_of(ctx)

    async def ask(credentials: Credentials | None) -> dict[str, Any]:
        client = services.http
        try:
            request = build(client, config, services.http_settings, credentials, ctx.idempotency_key)
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

    return await (ask(None) if config.connection is None else signed(ctx, config.connection, ask))


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
