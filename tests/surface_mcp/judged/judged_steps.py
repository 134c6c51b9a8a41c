"""Steps of the workflows."""

import anyio

from agentflow import Context


def fail() -> None:
    """Fail."""
    raise RuntimeError("this tool intentionally fails for testing")


async def work(ctx: Context) -> None:
    """Tell how far it is."""
    for percent in (0, 50, 100):
        ctx.progress(percent / 100, f"{percent} %")
        await anyio.sleep(0.15)
