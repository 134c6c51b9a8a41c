"""`api_call`: one HTTP request."""

from __future__ import annotations

from agentflow.steps.api_fields import ApiCallConfig
from agentflow.steps.contract import Context, Result, StepType


async def execute(config: ApiCallConfig, ctx: Context) -> Result:
    """Send the request and read the answer."""
    from agentflow.steps.http_call import call  # noqa: PLC0415  httpx costs its import

    return Result(await call(config, ctx))


TYPES: tuple[StepType, ...] = (
    StepType(
        name="api_call",
        config=ApiCallConfig,
        summary="Sends one HTTP request; the result has status, headers and body.",
        execute=execute,
        skills=("native:network",),
        outbound=("url", "query", "headers", "body"),
        timeout=60.0,
        unsafe=True,
    ),
)
