"""A host at work: from its workers' start to its shutdown, as a context."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from agentflow.engine.host.collector import rare_collections
from agentflow.engine.host.core import Core
from agentflow.engine.host.host import Host


@asynccontextmanager
async def serving(core: Core, host: Host, grace: float) -> AsyncGenerator[None]:
    """Let a host execute runs; at the end running steps get `grace` seconds."""
    raised: BaseException | None = None
    async with anyio.create_task_group() as group:
        try:
            await group.start(host.serve_workers)
            host.start(group)
            with rare_collections():
                yield
        except BaseException as error:  # told after the group, which would wrap it
            if isinstance(error, (anyio.get_cancelled_exc_class(), GeneratorExit)):
                raise
            raised = error
        finally:
            with anyio.CancelScope(shield=True):
                await host.shutdown(0.0 if core.health.outdated else grace)
            host.end()
            group.cancel_scope.cancel()
    raised = core.health.outdated or raised
    if raised is not None:
        raise raised
